//! Kernels for processors with AVX-512 IFMA: eight field elements at a time.

pub(crate) mod fft;
pub(crate) mod field;
pub(crate) mod fq;
pub(crate) mod fq2;
pub(crate) mod kernels;
pub(crate) mod lines;
pub(crate) mod msm;

#[cfg(test)]
mod field_tests;

/// Whether this processor has the instructions that the kernels are compiled for.
pub(crate) fn supported() -> bool {
    is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("avx512vl")
}
