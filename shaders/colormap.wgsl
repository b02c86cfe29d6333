// Colour ramps, one row of `ramps` each. Rows and their colours come from src/render/colormap.rs.

@group(0) @binding(4) var ramps: texture_2d<f32>;

// Colour of `t` in [0, 1] on a ramp, between its two nearest entries. A row that does not exist is
// magenta, so that a wrong number is seen.
fn ramp(row: u32, t: f32) -> vec3<f32> {
    let size = textureDimensions(ramps);
    if row >= size.y {
        return vec3<f32>(1.0, 0.0, 1.0);
    }
    let last = f32(size.x - 1u);
    let x = clamp(t, 0.0, 1.0) * last;
    let left = floor(x);
    let right = min(left + 1.0, last);
    let a = textureLoad(ramps, vec2<u32>(u32(left), row), 0).rgb;
    let b = textureLoad(ramps, vec2<u32>(u32(right), row), 0).rgb;
    return a + (b - a) * (x - left);
}
