//! No crate of the workspace has a circle of files, and the check finds those that are made for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use sources::circles::circles;

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let workspace = workspace();
    let mut roots = vec![workspace.join("circuits/src/lib.rs")];
    for folder in fs::read_dir(workspace.join("crates")).unwrap() {
        roots.push(folder.unwrap().path().join("src/lib.rs"));
    }
    roots.sort();
    let mut found = String::new();
    for root in roots {
        for circle in circles(&root).unwrap() {
            found += &format!("a circle of {} files:\n{circle}", circle.files.len());
        }
    }
    assert!(
        found.is_empty(),
        "files that need each other; move what ties them into a file below both:\n{found}"
    );
}

/// A crate of these files, and how many files each of its circles has.
fn sizes(files: &[(&str, &str)]) -> Vec<usize> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let found = circles(&folder.path().join("lib.rs")).unwrap();
    found.iter().map(|circle| circle.files.len()).collect()
}

#[test]
fn files_in_one_direction_are_no_circle() {
    let files = [
        ("lib.rs", "pub mod a; mod b; pub use b::B;"),
        ("a.rs", "use crate::B; pub fn f(b: B) -> B { b }"),
        (
            "b.rs",
            "pub struct B; #[cfg(test)] mod tests { use crate::a::f; }",
        ),
    ];
    assert_eq!(sizes(&files), []);
}

#[test]
fn names_are_followed_through_imports_reexports_globs_and_macros() {
    let b = "pub struct B; pub fn g() { assert!(crate::a::f() == 1); }";
    for a in [
        "use crate::b::B; pub fn f() -> u8 { 1 }",
        "use crate::B; pub fn f() -> u8 { 1 }",
        "use super::b; pub fn f() -> u8 { let _ = b::B; 1 }",
        "pub fn f() -> u8 { crate::b::g(); 1 }",
        "pub fn f() -> u8 { use super::b as other; other::g(); 1 }",
        "pub fn f() -> u8 { println!(\"{}\", super::b::g()); 1 }",
        "pub mod inner { pub fn f(b: super::super::B) {} }",
    ] {
        let lib = "pub mod a; mod b; pub use self::b::*;";
        assert_eq!(
            sizes(&[("lib.rs", lib), ("a.rs", a), ("b.rs", b)]),
            [2],
            "{a}"
        );
    }
}

#[test]
fn who_imports_everything_of_a_parent_needs_the_parent() {
    let a = "use super::*; pub fn f() {}";
    assert_eq!(
        sizes(&[("lib.rs", "mod a; pub struct B;"), ("a.rs", a)]),
        [2]
    );
}

#[test]
fn a_parent_that_defines_what_its_child_uses_is_a_circle() {
    let child = "use super::LIMIT; pub fn f() -> u8 { LIMIT }";
    let parent = "mod child; pub const LIMIT: u8 = 1;";
    let files = [
        ("lib.rs", "mod a;"),
        ("a.rs", parent),
        ("a/child.rs", child),
    ];
    assert_eq!(sizes(&files), [2]);
}

#[test]
fn three_files_in_a_ring_are_one_circle() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub struct A(crate::b::B);"),
        ("b.rs", "pub struct B(crate::c::C);"),
        ("c.rs", "pub struct C(Box<crate::a::A>);"),
    ];
    assert_eq!(sizes(&files), [3]);
}
