//! What this processor can do.

/// Whether this processor has the instructions that the kernels are compiled for.
pub(crate) fn supported() -> bool {
    is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512vl")
}
