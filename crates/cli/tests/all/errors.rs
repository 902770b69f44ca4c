//! `docs/errors.md` names every error of the libraries and every exit status, and no others.

use std::collections::{BTreeMap, BTreeSet};
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

/// Calls a function with the crate, the path and the text of every source file of all crates.
fn for_each_source(mut visit: impl FnMut(&str, &Path, &str)) {
    for folder in crates() {
        let mut files = Vec::new();
        sources(&folder.join("src"), &mut files);
        let short = folder.file_name().unwrap().to_str().unwrap();
        for file in files {
            visit(short, &file, &std::fs::read_to_string(&file).unwrap());
        }
    }
}

/// `crate::module::Enum` with its variants; what stands in `lib.rs` has no module.
fn errors() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for_each_source(|short, file, text| {
        let module = match file.file_stem().unwrap().to_str().unwrap() {
            "lib" => String::new(),
            module => format!("{module}::"),
        };
        for (name, variants) in enums(text) {
            all.insert(format!("{short}::{module}{name}"), variants);
        }
    });
    all
}

/// Error types that no command is asked about, each with the reason.
const INNER: &[(&str, &str)] = &[
    (
        "storage::BeginError",
        "inside errors of l1 and batcher, which ask it",
    ),
    (
        "storage::CodecError",
        "inside errors of l1 and batcher, which ask it",
    ),
    (
        "storage::OpenError",
        "inside errors of l1 and batcher, which ask it",
    ),
];

/// Libraries of others, whose types nobody here declares.
const FOREIGN: [&str; 3] = ["io::", "serde_json::", "std::"];

/// `crate::Type` of every public type that is an error, enum or not.
fn error_types() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for_each_source(|short, _, text| {
        let mut is_error = false;
        for line in text.lines() {
            let kind = ["pub enum ", "pub struct "];
            if let Some(derived) = line.strip_prefix("#[derive(") {
                is_error = derived
                    .split([',', ' ', ':', ')'])
                    .any(|name| name == "Error");
            } else if let Some(rest) = kind.iter().find_map(|kind| line.strip_prefix(kind)) {
                if std::mem::take(&mut is_error) {
                    let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                    all.insert(format!("{short}::{name}"));
                }
            } else if line.starts_with('}') {
                is_error = false;
            }
        }
    });
    all
}

/// `crate::Type` of every error that the program asks in this way: `ask` or `is`.
fn asked(fault: &str, how: &str) -> BTreeSet<String> {
    let short = |path: &str| {
        let path = path.trim_start_matches("::");
        let (first, last) = (path.split("::").next()?, path.rsplit("::").next()?);
        Some(format!("{first}::{last}"))
    };
    let opening = format!("{how}::<");
    let entries = fault.split(&opening).skip(1);
    let paths = entries.filter_map(|rest| rest.split(['<', '>']).next());
    paths
        .filter(|path| path.contains("::"))
        .filter(|path| !FOREIGN.iter().any(|name| path.starts_with(name)))
        .filter_map(short)
        .collect()
}

/// Whoever adds an error type gives it a class, and the program asks it: nothing is refused only because
/// nobody thought of it.
#[test]
fn every_error_type_has_a_class_that_the_program_asks_for() {
    let fault = std::fs::read_to_string(root().join("crates/cli/src/fault.rs")).unwrap();
    let (classified, of_one_class) = (asked(&fault, "ask"), asked(&fault, "is"));
    assert!(classified.len() > 40 && of_one_class.len() > 20);
    let inner: BTreeSet<String> = INNER.iter().map(|(name, _)| (*name).to_owned()).collect();
    let types = error_types();
    for name in &types {
        let places = [&classified, &of_one_class, &inner];
        let places = places.iter().filter(|place| place.contains(name)).count();
        assert_eq!(
            places, 1,
            "`{name}` is to be in one of the lists CLASSIFIED and ONE_CLASS of crates/cli/src/fault.rs, \
             or in INNER here"
        );
    }
    for name in classified.iter().chain(&of_one_class).chain(&inner) {
        assert!(types.contains(name), "`{name}` is no error type");
    }
}

/// True if a line of a match is an arm for whatever other arms leave over: `_`, or a name for it.
fn is_default(line: &str) -> bool {
    let line = line.trim_start();
    let name: String = (line.chars())
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let after = line[name.len()..].trim_start();
    let binds = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_arm = after.starts_with("=>") || after.starts_with("if ") || after.starts_with('@');
    binds && is_arm && !["true", "false", "else"].contains(&name.as_str())
}

#[test]
fn an_arm_for_whatever_is_left_over_is_found() {
    for arm in [
        "_ => x",
        "  other => other.class(),",
        "rest if rest.x() => y",
        "all @ Self::A => z",
    ] {
        assert!(is_default(arm), "{arm}");
    }
    for line in [
        "Self::A(_) => x,",
        "true => y,",
        "match self {",
        "error.class()",
        "} else if x {",
    ] {
        assert!(!is_default(line), "{line}");
    }
}

/// A new variant of an error does not compile until somebody has decided on its class.
#[test]
fn no_class_is_a_default() {
    let mut implementations = 0;
    for_each_source(|short, file, text| {
        for block in text.split("Classified for ").skip(1) {
            let block = block.split("\n}\n").next().unwrap();
            assert!(
                !block.contains("_ =>")
                    && !block.contains("matches!")
                    && !block.lines().any(is_default),
                "{short}, {}: the class of {}",
                file.display(),
                block.lines().next().unwrap()
            );
            implementations += 1;
        }
    });
    assert!(implementations > 50, "{implementations}");
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
