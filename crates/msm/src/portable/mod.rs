//! Safe code for every processor.

pub(crate) mod fft;
pub(crate) mod lean;
pub(crate) mod msm;
