//! Which graphics adapters there are and what they can, without opening a window.

/// Names of the adapters wgpu can use here, best kind first; empty when there is none.
pub fn adapter_names() -> Vec<String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut found: Vec<_> = adapters.iter().map(|a| a.get_info()).collect();
    found.sort_by_key(|info| match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Cpu => 3,
        wgpu::DeviceType::Other => 4,
    });
    let mut names: Vec<String> = found
        .into_iter()
        .map(|info| format!("{} ({})", info.name, info.backend))
        .collect();
    names.dedup();
    names
}

/// Whether the window's first choice of adapters is a card that runs compute shaders, so that local maps are made on
/// it. Through OpenGL the window asks for none; a software adapter is slower than the processor's own code. `None`
/// without an adapter.
pub fn maps_on_card() -> Option<bool> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let options = wgpu::RequestAdapterOptions::default();
    let adapter = pollster::block_on(instance.request_adapter(&options)).ok()?;
    let flags = adapter.get_downlevel_capabilities().flags;
    let computes = flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
    let info = adapter.get_info();
    Some(computes && info.backend != wgpu::Backend::Gl && info.device_type != wgpu::DeviceType::Cpu)
}
