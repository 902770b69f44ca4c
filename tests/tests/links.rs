//! Every link of the documents leads somewhere: relative links and anchors in all Markdown files, and
//! the documents, anchors and sections that sources name. Nothing is fetched.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Folders that hold no document or source of the project.
const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "corpus", "shared"];
/// Files that are read besides Markdown: they name documents in comments, help and messages.
const SOURCES: [&str; 8] = ["rs", "mjs", "js", "py", "sol", "toml", "yml", ""];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                files(&path, out);
            }
        } else {
            out.push(path);
        }
    }
}

fn extension(path: &Path) -> &str {
    path.extension().map_or("", |it| it.to_str().unwrap_or("?"))
}

/// The lines of a Markdown text that are not code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut code = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            lines.push((index + 1, line));
        }
    }
    lines
}

/// The anchor that a heading gets: lower case, spaces as hyphens, other punctuation left out.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The anchors of a Markdown text; of headings with one slug the second gets `-1`, and so on.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        let level = line.chars().take_while(|letter| *letter == '#').count();
        if !(1..=6).contains(&level) || !line[level..].starts_with(' ') {
            continue;
        }
        let slug = slug(&line[level..]);
        let before = times.entry(slug.clone()).or_insert(0);
        found.insert(match *before {
            0 => slug,
            again => format!("{slug}-{again}"),
        });
        *before += 1;
    }
    found
}

/// The text without what stands in back quotes, where a bracket is no link.
fn without_code(line: &str) -> String {
    let parts = line.split('`').enumerate();
    let kept = parts.map(|(index, part)| if index % 2 == 0 { part } else { "code" });
    kept.collect()
}

/// Targets of `[…](target)`.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    let after = line.split("](").skip(1);
    after
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// `a/../b` as `b`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

/// What is wrong with a link from `file`, if something is.
fn fault(file: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = match path {
        "" => file.to_owned(),
        path => normal(&file.parent().unwrap().join(path)),
    };
    if !to.starts_with(root()) || !to.exists() {
        return Some(format!("{target}: there is no such file"));
    }
    if anchor.is_empty() || extension(&to) != "md" {
        return None;
    }
    let known = anchors(&std::fs::read_to_string(&to).unwrap()).contains(anchor);
    (!known).then(|| format!("{target}: there is no such heading"))
}

/// Documents that a line of a source names as `docs/….md`, with `#anchor` or `, section N` if it has one.
fn named(line: &str) -> Vec<(String, Option<String>, Option<String>)> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("docs/") {
        let rest = &line[at..];
        let Some(end) = rest.find(".md") else {
            continue;
        };
        let name = &rest[..end + 3];
        if name.contains([' ', '`', '"', '*', '{']) {
            continue;
        }
        let rest = &rest[end + 3..];
        let word = |text: &str| -> String {
            let wanted = |letter: &char| letter.is_alphanumeric() || "-_".contains(*letter);
            text.chars().take_while(wanted).collect()
        };
        let anchor = rest.strip_prefix('#').map(word);
        let section = rest.strip_prefix(", section ").map(word);
        found.push((name.to_owned(), anchor, section));
    }
    found
}

fn fault_of_name(name: &str, anchor: Option<&str>, section: Option<&str>) -> Option<String> {
    let path = root().join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Some(format!("{name}: there is no such file"));
    };
    let anchors = anchors(&text);
    if let Some(anchor) = anchor
        && !anchors.contains(anchor)
    {
        return Some(format!("{name}#{anchor}: there is no such heading"));
    }
    let section = section?;
    let (number, title) = (
        format!("{}-", section.to_lowercase()),
        section.to_lowercase(),
    );
    let known = |anchor: &String| anchor.starts_with(&number) || anchor.starts_with(&title);
    (!anchors.iter().any(known)).then(|| format!("{name}, section {section}: there is none"))
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    let (mut links, mut names, mut faults) = (0, 0, Vec::new());
    for file in &all {
        let kind = extension(file);
        if kind != "md" && !SOURCES.contains(&kind) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        let shown = file.strip_prefix(root()).unwrap().display();
        if kind == "md" {
            for (number, line) in prose(&text) {
                for target in targets(line) {
                    links += 1;
                    let fault = fault(file, &target);
                    faults.extend(fault.map(|fault| format!("{shown}:{number}: {fault}")));
                }
            }
        }
        if file.ends_with("tests/tests/links.rs") {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            for (name, anchor, section) in named(line) {
                names += 1;
                let fault = fault_of_name(&name, anchor.as_deref(), section.as_deref());
                faults.extend(fault.map(|fault| format!("{shown}:{}: {fault}", index + 1)));
            }
        }
    }
    assert!(faults.is_empty(), "broken links:\n{}", faults.join("\n"));
    assert!(
        links > 150 && names > 30,
        "the documents and sources were found: {links} links, {names} names"
    );
}

#[test]
fn no_document_holds_a_conflict() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    for file in all.iter().filter(|file| extension(file) == "md") {
        let text = std::fs::read_to_string(file).unwrap();
        for (index, line) in text.lines().enumerate() {
            let marks = ["<<<<<<< ", ">>>>>>> "];
            let conflict = marks.iter().any(|mark| line.starts_with(mark)) || line == "=======";
            assert!(!conflict, "{}:{}", file.display(), index + 1);
        }
    }
}

/// Paths in back quotes, each with the names in back quotes and parentheses that follow it directly:
/// `` `a/b.rs` (`c`, `d`) ``.
fn paths(line: &str) -> Vec<(&str, Vec<&str>)> {
    const FOLDERS: [&str; 6] = [
        "crates/",
        "circuits/",
        "tests/",
        "benches/",
        "docs/",
        ".ci/",
    ];
    let parts: Vec<&str> = line.split('`').collect();
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut open = false;
    // Odd parts stand in back quotes, even ones between them.
    for index in (1..parts.len().saturating_sub(1)).step_by(2) {
        let (before, part) = (parts[index - 1], parts[index]);
        let is_path = FOLDERS.iter().any(|folder| part.starts_with(folder))
            && !part.contains([' ', '*', '<', '{', '…']);
        open = match () {
            () if is_path => {
                found.push((part, Vec::new()));
                index + 2 < parts.len() && parts[index + 1] == " ("
            }
            () if open && (before == " (" || before == ", ") => {
                found.last_mut().unwrap().1.push(part);
                true
            }
            () => false,
        };
    }
    found
}

/// Files and folders that documents name exist, and have in them what is named beside them.
#[test]
fn every_path_leads_somewhere() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    let (mut seen, mut names, mut faults) = (0, 0, Vec::new());
    for file in all.iter().filter(|file| extension(file) == "md") {
        let text = std::fs::read_to_string(file).unwrap();
        let shown = file.strip_prefix(root()).unwrap().display();
        for (number, line) in prose(&text) {
            for (path, wanted) in paths(line) {
                seen += 1;
                let to = root().join(path.split(':').next().unwrap());
                if !to.exists() {
                    faults.push(format!("{shown}:{number}: {path}: there is no such file"));
                    continue;
                }
                let Ok(content) = std::fs::read_to_string(&to) else {
                    continue;
                };
                for name in wanted {
                    names += 1;
                    let last = name.rsplit("::").next().unwrap();
                    let word =
                        |text: &str| !text.contains(|c: char| c.is_alphanumeric() || c == '_');
                    let whole = content.match_indices(last).any(|(at, _)| {
                        let before = content[..at].chars().next_back();
                        let after = content[at + last.len()..].chars().next();
                        [before, after]
                            .into_iter()
                            .flatten()
                            .all(|c| word(&c.to_string()))
                    });
                    if !whole {
                        faults.push(format!("{shown}:{number}: {path} has no {name}"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "broken paths:\n{}", faults.join("\n"));
    assert!(seen > 100 && names > 30, "{seen} paths, {names} names");
}

/// Names of functions, tests and rules in back quotes, `like_this` or `type::like_this`, occur in a source.
#[test]
fn every_name_stands_in_a_source() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    let mut known = BTreeSet::new();
    for file in &all {
        if extension(file) != "md" && SOURCES.contains(&extension(file)) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            known.extend(words.filter(|word| word.contains('_')).map(str::to_owned));
        }
    }
    let (mut seen, mut faults) = (0, Vec::new());
    for file in all.iter().filter(|file| extension(file) == "md") {
        let text = std::fs::read_to_string(file).unwrap();
        let shown = file.strip_prefix(root()).unwrap().display();
        for (number, line) in prose(&text) {
            for quoted in line.split('`').skip(1).step_by(2) {
                let name = quoted.rsplit("::").next().unwrap();
                let small = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
                if !name.contains('_') || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
                    continue;
                }
                if name.chars().all(small) {
                    seen += 1;
                    let fault =
                        (!known.contains(name)).then(|| format!("{shown}:{number}: {name}"));
                    faults.extend(fault);
                }
            }
        }
    }
    assert!(faults.is_empty(), "in no source:\n{}", faults.join("\n"));
    assert!(seen > 300, "{seen} names");
}

/// `docs/architecture.md` says of each crate what is in it.
#[test]
fn every_crate_is_described() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let described = |name: &str| text.contains(&format!("\n| `crates/{name}` | "));
    let mut crates = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap();
        let is_crate = folder.path().join("Cargo.toml").exists();
        crates.extend(is_crate.then(|| folder.file_name().to_string_lossy().into_owned()));
    }
    assert!(crates.len() > 10, "the crates were found: {crates:?}");
    crates.retain(|name| !described(name));
    assert!(crates.is_empty(), "docs/architecture.md lacks {crates:?}");
}

/// Every document can be reached from the README by links.
#[test]
fn every_document_is_linked() {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![root().join("README.md")];
    while let Some(file) = waiting.pop() {
        if extension(&file) != "md" || !file.exists() || !reached.insert(file.clone()) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for target in prose(&text).iter().flat_map(|(_, line)| targets(line)) {
            let path = target.split('#').next().unwrap();
            waiting.push(normal(&file.parent().unwrap().join(path)));
        }
    }
    let mut all = Vec::new();
    files(&root(), &mut all);
    let missed: Vec<&PathBuf> = (all.iter())
        .filter(|file| extension(file) == "md" && !reached.contains(*file))
        .collect();
    assert!(missed.is_empty(), "no document links to {missed:?}");
}

#[test]
fn broken_links_are_found() {
    let readme = root().join("README.md");
    assert_eq!(fault(&readme, "docs/protocol.md#8-files"), None);
    assert_eq!(fault(&readme, "https://example.com/none"), None);
    for broken in [
        "docs/none.md",
        "docs/protocol.md#none",
        "#none",
        "../none",
        "../../etc/hosts",
    ] {
        assert!(fault(&readme, broken).is_some(), "{broken}");
    }
    assert_eq!(fault_of_name("docs/protocol.md", None, Some("6")), None);
    assert!(fault_of_name("docs/protocol.md", None, Some("99")).is_some());
    assert!(fault_of_name("docs/protocol.md", Some("none"), None).is_some());
    assert!(fault_of_name("docs/none.md", None, None).is_some());
    let line = "see (docs/a.md, section 6) and `docs/b.md#c-d`, docs/c.md";
    let texts = named(line);
    assert_eq!(texts.len(), 3);
    assert_eq!(texts[0].2.as_deref(), Some("6"));
    assert_eq!(texts[1].1.as_deref(), Some("c-d"));
}

#[test]
fn anchors_are_those_of_the_host() {
    let text = "# A `b` c: D, E\n```\n# no heading\n```\n## z after c\n## z after c\n## 8 Files\n### Balances stay below 2^128\n";
    let expected = [
        "a-b-c-d-e",
        "z-after-c",
        "z-after-c-1",
        "8-files",
        "balances-stay-below-2128",
    ];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
    let line = "`crates/a.rs` (`b`, `C::d`), `docs/e` and `f` (`g`), `crates/*.rs`";
    let expected = [("crates/a.rs", vec!["b", "C::d"]), ("docs/e", vec![])];
    assert_eq!(paths(line), expected);
    assert_eq!(targets("[a](b.md) `[c](d)` [e](#f)"), ["b.md", "#f"]);
}
