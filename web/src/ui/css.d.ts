import "react";

declare module "react" {
  interface CSSProperties {
    /** Columns of the wall. */
    "--columns"?: number;
  }
}
