declare module "gltf-validator" {
  /** The Khronos glTF validator: what it has to say of a GLB. */
  export function validateBytes(bytes: Uint8Array): Promise<{
    readonly issues: {
      readonly numErrors: number;
      readonly numWarnings: number;
      readonly messages: readonly object[];
    };
  }>;
}
