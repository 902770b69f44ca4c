//! `quire completions` and `quire man`: made from the tree of commands itself.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Command, CommandFactory};
use serde::Serialize;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::fault::Fault;
use crate::ui::Ui;
use rollup::place::make_folder;
use rollup::text::count;

/// What `completions` prints.
#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

/// What `man` prints.
#[derive(Serialize)]
struct Manual {
    pages: Vec<Page>,
}

/// A manual page.
#[derive(Serialize)]
struct Page {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

/// `quire completions`.
///
/// # Errors
/// If standard output cannot be written.
pub fn run_completions(ui: Ui, args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "quire", &mut script);
    let script = String::from_utf8(script).context("the script is not UTF-8")?;
    let facts = Completions {
        shell: args.shell.to_string(),
        script,
    };
    ui.raw(&facts, &facts.script)
}

/// `quire man`.
///
/// # Errors
/// If there is no such command or a file cannot be written.
pub fn run_man(ui: Ui, args: &ManArgs) -> Result<()> {
    let mut pages = Vec::new();
    collect(&finished(), "quire", &mut pages)?;
    if let Some(folder) = &args.dir {
        make_folder(folder)?;
        let mut written = Vec::new();
        for (name, page) in pages {
            let file = folder.join(format!("{name}.1"));
            ::files::replace(&file, ::files::Readers::Everybody, page.as_bytes())?;
            let (file, page) = (Some(file), None);
            written.push(Page { name, file, page });
        }
        let text = format!("{} pages in {}", count(written.len()), folder.display());
        return ui.result(&Manual { pages: written }, text);
    }
    let words = std::iter::once("quire").chain(args.command.iter().map(String::as_str));
    let wanted = words.collect::<Vec<_>>().join("-");
    let found = pages.into_iter().find(|(name, _)| *name == wanted);
    ensure!(
        found.is_some(),
        Fault::usage(format!(
            "there is no command {:?}; `quire --help` lists them",
            args.command.join(" ")
        ))
    );
    let pages = found.into_iter().map(|(name, page)| Page {
        name,
        file: None,
        page: Some(page),
    });
    let manual = Manual {
        pages: pages.collect(),
    };
    let page = manual.pages.iter().find_map(|page| page.page.clone());
    ui.raw(&manual, &page.unwrap_or_default())
}

/// The tree with everything that clap adds.
fn finished() -> Command {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    root
}

/// The page of a command and of all below it.
fn collect(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().display_name(name))
        .title(name)
        .render(&mut page)
        .context("cannot write the page")?;
    let page = String::from_utf8(page).context("the page is not UTF-8")?;
    pages.push((name.to_owned(), page));
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        collect(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command with its one-line description, as the user reaches it.
    fn tree(command: &Command, path: &str, out: &mut Vec<(String, String, String)>) {
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            let path = format!("{path} {}", below.get_name());
            let about = below.get_about().map(ToString::to_string);
            let help = below.get_after_help().map(ToString::to_string);
            if below.has_subcommands() {
                tree(below, &path, out);
            } else {
                let parts = (about.unwrap_or_default(), help.unwrap_or_default());
                out.push((path, parts.0, parts.1));
            }
        }
    }

    fn commands() -> Vec<(String, String, String)> {
        let mut all = Vec::new();
        tree(&finished(), "quire", &mut all);
        all
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
        assert!(commands().len() > 30);
    }

    #[test]
    fn every_command_has_examples_and_the_fields_of_its_json() {
        for (path, about, help) in commands() {
            assert!(!about.is_empty(), "{path} has no description");
            let example = format!("Examples:\n  {path}");
            let other = help.contains(&format!("\n  {path}"));
            assert!(
                help.contains(&example) || (help.contains("Examples:\n  ") && other),
                "{path}"
            );
            assert!(
                help.contains("\nJSON: "),
                "{path} does not document its JSON"
            );
        }
    }

    #[test]
    fn docs_cli_lists_exactly_these_commands() {
        let text = include_str!("../../../docs/cli.md");
        let row = |line: &str| {
            let (command, about) = line.strip_prefix("| `")?.split_once("` | ")?;
            let about = about.strip_suffix(" |")?;
            command
                .starts_with("quire ")
                .then(|| (command.to_owned(), about.to_owned()))
        };
        let listed: Vec<_> = text.lines().filter_map(row).collect();
        let expected: Vec<_> = (commands().into_iter())
            .map(|(path, about, _)| (path, about))
            .collect();
        for pair in &expected {
            assert!(
                listed.contains(pair),
                "docs/cli.md lacks | `{}` | {} |",
                pair.0,
                pair.1
            );
        }
        for pair in &listed {
            assert!(
                expected.contains(pair),
                "docs/cli.md lists `{}`, which is no command",
                pair.0
            );
        }
    }

    #[test]
    fn every_command_has_a_page_and_every_shell_a_script() {
        let mut pages = Vec::new();
        collect(&finished(), "quire", &mut pages).unwrap();
        for (path, ..) in commands() {
            let name = path.replace(' ', "-");
            let page = pages.iter().find(|(page, _)| *page == name);
            assert!(page.unwrap().1.contains("Examples:"), "{name}");
        }
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "quire", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("passphrase-file"), "{shell}");
        }
    }
}
