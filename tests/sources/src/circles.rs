//! Circles of files: files of one crate that need each other, so that none can be read, tested or moved alone.
//!
//! A file needs another if it declares it as a module or names something that the other defines, wherever the
//! name is re-exported. Two files that need each other, directly or through others, are a circle. What only
//! tests compile does not count.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::modules::{Modules, Unreadable};

/// The files of one circle, and the names that tie them.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    /// The files, sorted.
    pub files: Vec<PathBuf>,
    /// File, file that it needs, and a name that shows it.
    pub ties: Vec<(PathBuf, PathBuf, String)>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, to, name) in &self.ties {
            writeln!(f, "  {} needs {} ({name})", from.display(), to.display())?;
        }
        Ok(())
    }
}

/// The circles among the files of the crate whose root file is `root`.
pub fn circles(root: &Path) -> Result<Vec<Circle>, Unreadable> {
    let uses = Modules::read(root)?.uses();
    let mut circles = Vec::new();
    let mut left: Vec<&PathBuf> = uses.keys().map(|(from, _)| from).collect();
    left.dedup();
    while let Some(start) = left.first().copied() {
        let mut files: Vec<PathBuf> = reachable(&uses, start)
            .into_iter()
            .filter(|file| reachable(&uses, file).contains(start))
            .collect();
        files.sort();
        left.retain(|file| *file != start && !files.contains(file));
        if files.len() > 1 {
            let ties = uses
                .iter()
                .filter(|((from, to), _)| files.contains(from) && files.contains(to));
            let ties = ties
                .map(|((from, to), name)| (from.clone(), to.clone(), name.clone()))
                .collect();
            circles.push(Circle { files, ties });
        }
    }
    Ok(circles)
}

/// The files that `start` needs, directly or through others.
fn reachable(uses: &BTreeMap<(PathBuf, PathBuf), String>, start: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut open = vec![start.to_owned()];
    while let Some(file) = open.pop() {
        for (_, to) in uses.keys().filter(|(from, _)| *from == file) {
            if !found.contains(to) {
                found.push(to.clone());
                open.push(to.clone());
            }
        }
    }
    found
}
