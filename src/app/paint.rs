//! The thin piece between egui's paint pass and the overlay pipeline.

use crate::render::{OverlayParams, OverlayRenderer, Pictures, ViewId};
use eframe::egui_wgpu;

/// The Stage's slot in the renderer.
pub const STAGE: ViewId = ViewId(0);
/// The slot of the right canvas, when two stand side by side.
pub const STAGE_SECOND: ViewId = ViewId(1);

/// This frame's parameters of one view. The pictures sit in the renderer already.
pub struct OverlayCallback {
    /// Which view.
    pub view: ViewId,
    /// How to draw it.
    pub params: OverlayParams,
}

impl egui_wgpu::CallbackTrait for OverlayCallback {
    fn prepare(
        &self,
        _device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &egui_wgpu::ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut egui_wgpu::CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(renderer) = resources.get::<OverlayRenderer>() {
            renderer.set_params(queue, self.view, &self.params);
        }
        Vec::new()
    }

    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &egui_wgpu::CallbackResources,
    ) {
        if let Some(renderer) = resources.get::<OverlayRenderer>() {
            renderer.draw(pass, self.view);
        }
    }
}

/// Builds the pipeline into egui's renderer; whether it makes local maps itself.
pub fn install(state: &egui_wgpu::RenderState) -> bool {
    let renderer = OverlayRenderer::new(&state.device, &state.queue, state.target_format);
    // Where the adapter is the processor in disguise, the processor's own code is faster.
    let software = state.adapter.get_info().device_type == wgpu::DeviceType::Cpu;
    let makes_maps = renderer.makes_maps() && !software;
    if !makes_maps {
        log::info!("no compute shaders on a graphics card: local maps are made on the processor");
    }
    state.renderer.write().callback_resources.insert(renderer);
    makes_maps
}

/// Hands a view its pictures.
pub fn upload(state: &egui_wgpu::RenderState, view: ViewId, pictures: &Pictures) {
    let mut renderer = state.renderer.write();
    if let Some(overlay) = renderer.callback_resources.get_mut::<OverlayRenderer>() {
        overlay.set_pictures(&state.device, &state.queue, view, pictures);
    }
}

/// Hands a view another matte of the same size; false when all pictures have to be handed over.
pub fn upload_matte(state: &egui_wgpu::RenderState, view: ViewId, matte: Option<&image::GrayImage>) -> bool {
    let renderer = state.renderer.read();
    let overlay = renderer.callback_resources.get::<OverlayRenderer>();
    overlay
        .zip(matte)
        .is_some_and(|(o, m)| o.set_matte(&state.queue, view, m))
}
