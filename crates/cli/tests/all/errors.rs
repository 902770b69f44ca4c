//! `docs/errors.md` names every error of the libraries and every exit status, and no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// Public error enums of a source text with their variants.
fn enums(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\npub enum ") {
        let before = &rest[..at];
        let derives = before.rsplit("\n#[derive(").next().unwrap_or("");
        let is_error = before.contains("#[derive(")
            && derives.split(")]").next().unwrap().contains("Error")
            && !derives.contains("\n}\n");
        rest = &rest[at + "\npub enum ".len()..];
        let name = rest.split([' ', '<']).next().unwrap().to_owned();
        let body = rest.split("\n}\n").next().unwrap();
        let variant = |line: &str| {
            let line = line.strip_prefix("    ")?;
            let name: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
            name.starts_with(|c: char| c.is_ascii_uppercase())
                .then_some(name)
        };
        if is_error {
            found.push((name, body.lines().filter_map(variant).collect()));
        }
    }
    found
}

/// The folders of all crates.
fn crates() -> Vec<PathBuf> {
    let mut folders = vec![root().join("circuits")];
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        folders.push(entry.unwrap().path());
    }
    folders
}

/// `crate::module::Enum` with its variants; what stands in `lib.rs` has no module.
fn errors() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for folder in crates() {
        let mut files = Vec::new();
        sources(&folder.join("src"), &mut files);
        let short = folder.file_name().unwrap().to_str().unwrap();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let module = match file.file_stem().unwrap().to_str().unwrap() {
                "lib" => String::new(),
                module => format!("{module}::"),
            };
            for (name, variants) in enums(&text) {
                all.insert(format!("{short}::{module}{name}"), variants);
            }
        }
    }
    all
}

/// Names in back quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_catalogue_names_every_error() {
    let text = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let rows: BTreeMap<&str, &str> = (text.lines())
        .filter_map(|line| {
            let name = line.strip_prefix("| `")?.split_once('`')?.0;
            name.contains("::").then_some((name, line))
        })
        .collect();
    let errors = errors();
    assert!(
        errors.len() > 30,
        "the sources were found: {}",
        errors.len()
    );
    for (name, variants) in &errors {
        let row = rows.get(name.as_str());
        let row =
            row.unwrap_or_else(|| panic!("docs/errors.md has no row for `{name}`: {variants:?}"));
        let named = quoted(row);
        for variant in variants {
            assert!(
                named.contains(&variant.as_str()),
                "the row of `{name}` lacks `{variant}`"
            );
        }
    }
    for name in rows.keys() {
        assert!(
            errors.contains_key(*name),
            "docs/errors.md names `{name}`, which does not exist"
        );
    }
}

#[test]
fn the_catalogue_names_every_exit_status() {
    let text = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let output = crate::fixture::program().arg("--help").output().unwrap();
    let help = crate::fixture::text(&output.stdout);
    let listed = help.split("Exit status:\n").nth(1).unwrap();
    let statuses: Vec<&str> = (listed.lines())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(statuses, ["0", "1", "2", "3", "4", "5", "70", "130", "141"]);
    for status in statuses {
        assert!(
            text.contains(&format!("\n| {status} | ")),
            "docs/errors.md lacks status {status}"
        );
    }
}
