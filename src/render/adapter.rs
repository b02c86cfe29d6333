//! Which graphics adapters there are, without opening a window.

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
