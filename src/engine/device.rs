//! What computes: a few words for the window's bar and for `doctor`.

/// The widest vector instructions the program will use on this processor.
pub fn vector_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            "AVX-512"
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            "AVX2"
        } else {
            "SSE2"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "portable"
    }
}

/// `CPU · AVX2 · f32`.
pub fn device_words() -> String {
    format!("CPU · {} · f32", vector_level())
}
