/** Lambert's light worked out at vertices, for heads so small that a face of the mesh covers a few pixels. */

import { type MeshStandardMaterial, ShaderMaterial, UniformsLib, UniformsUtils } from "three";

/**
 * The same look as three's MeshLambertMaterial without maps, under ambient, hemisphere and directional lights. That one
 * asks every light, and the curve of sRGB, at every pixel: a fifth of a picture of sixteen heads where the processor draws.
 *
 * The renderer must write sRGB and map no tones, as it does by default.
 */
export function vertexLit({ color, emissive, vertexColors }: MeshStandardMaterial): ShaderMaterial {
  return new ShaderMaterial({
    name: "VertexLit",
    lights: true,
    vertexColors,
    uniforms: UniformsUtils.merge([
      UniformsLib.lights,
      { diffuse: { value: color }, emissive: { value: emissive } },
    ]),
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
  });
}

const VERTEX = /* glsl */ `
#include <common>
#include <color_pars_vertex>
#include <skinning_pars_vertex>
#include <lights_pars_begin>

uniform vec3 diffuse;
uniform vec3 emissive;
varying vec3 vSeen;

vec3 curve(vec3 linear) {
  return mix(1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055, 12.92 * linear, lessThanEqual(linear, vec3(0.0031308)));
}

void main() {
  #include <color_vertex>
  #include <beginnormal_vertex>
  #include <skinbase_vertex>
  #include <skinnormal_vertex>
  #include <defaultnormal_vertex>
  #include <begin_vertex>
  #include <skinning_vertex>
  #include <project_vertex>

  vec3 normal = normalize(transformedNormal);
  vec3 light = ambientLightColor;
  #if NUM_HEMI_LIGHTS > 0
    #pragma unroll_loop_start
    for (int i = 0; i < NUM_HEMI_LIGHTS; i ++) {
      light += getHemisphereLightIrradiance(hemisphereLights[i], normal);
    }
    #pragma unroll_loop_end
  #endif
  #if NUM_DIR_LIGHTS > 0
    #pragma unroll_loop_start
    for (int i = 0; i < NUM_DIR_LIGHTS; i ++) {
      light += saturate(dot(normal, directionalLights[i].direction)) * directionalLights[i].color;
    }
    #pragma unroll_loop_end
  #endif
  vec3 reflected = diffuse;
  #if defined(USE_COLOR) || defined(USE_COLOR_ALPHA)
    reflected *= vColor.rgb;
  #endif
  vSeen = curve(reflected * light * RECIPROCAL_PI + emissive);
}
`;

const FRAGMENT = /* glsl */ `
varying vec3 vSeen;

void main() {
  gl_FragColor = vec4(vSeen, 1.0);
}
`;
