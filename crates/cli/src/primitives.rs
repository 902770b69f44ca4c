//! `quire bench msm | fft`: the prover's inner loops beside arkworks', in interleaved pairs.

use anyhow::Result;
use measuring::primitives::{Figure, sums_g1, sums_g2, transforms};

use crate::args::{BenchFftArgs, BenchMsmArgs, GroupName};
use crate::settings::Settings;
use crate::ui::table;

/// `quire bench msm`.
///
/// # Errors
/// If a sum differs from arkworks'.
pub fn run_msm(settings: &Settings, args: &BenchMsmArgs) -> Result<()> {
    let mut figures = Vec::new();
    for group in &args.group {
        for log2_size in &args.log2_size {
            let task = settings.ui.task(format!("{group:?} 2^{log2_size}"), None);
            figures.push(match group {
                GroupName::G1 => sums_g1(*log2_size, args.pairs)?,
                GroupName::G2 => sums_g2(*log2_size, args.pairs)?,
            });
            task.done();
        }
    }
    settings.ui.result(&figures, describe(&figures))
}

/// `quire bench fft`.
///
/// # Errors
/// If a transform differs from arkworks'.
pub fn run_fft(settings: &Settings, args: &BenchFftArgs) -> Result<()> {
    let mut figures = Vec::new();
    for log2_size in &args.log2_size {
        let task = settings.ui.task(format!("transforms 2^{log2_size}"), None);
        figures.push(transforms(*log2_size, args.pairs)?);
        task.done();
    }
    settings.ui.result(&figures, describe(&figures))
}

fn describe(figures: &[Figure]) -> String {
    let heading = [
        "",
        "simd",
        "threads",
        "ms",
        "arkworks ms",
        "ratio",
        "by processor time",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for figure in figures {
        rows.push(vec![
            format!("{} 2^{}", figure.what, figure.log2_size),
            figure.simd.to_owned(),
            figure.threads.to_string(),
            format!("{:.1}", 1e3 * figure.seconds),
            format!("{:.1}", 1e3 * figure.ark_seconds),
            format!("{:.2}", figure.ratio),
            figure
                .processor_ratio
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        ]);
    }
    table(&rows)
}
