//! Kernels for processors with AVX-512 IFMA: eight field elements at a time.

pub(crate) mod fft;
pub(crate) mod field;
pub(crate) mod fq;
pub(crate) mod fq2;
pub(crate) mod kernels;
pub(crate) mod lines;
pub(crate) mod msm;
mod processor;
pub(crate) mod schedule;

#[cfg(test)]
mod field_tests;

pub(crate) use processor::supported;
