//! The tree of modules of a crate, as its files declare it, without what only tests compile.
//!
//! Paths are followed as the compiler follows them: through `mod`, `use`, renames, re-exports and globs, as far
//! as that can be told without types. Methods and fields are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// A module: where it stands, what it declares and what its code names.
pub struct Module {
    /// The file that holds its code; a module written in braces has the file around it.
    pub file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    paths: Vec<Vec<String>>,
}

/// The names that a search has looked up, each with its module: re-exports may lead back.
type Seen = BTreeSet<(usize, String)>;

/// All modules of one crate; the first is its root.
pub struct Modules(Vec<Module>);

/// A file that cannot be read or parsed.
#[derive(Debug)]
pub struct Unreadable {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for Unreadable {}

impl Modules {
    /// Reads the crate whose root file is `root` (`src/lib.rs`).
    pub fn read(root: &Path) -> Result<Self, Unreadable> {
        let mut modules = Self(Vec::new());
        modules.read_file(root, None)?;
        Ok(modules)
    }

    /// Each pair of files of which the first declares the second as a module, or names something that the
    /// second defines, with one name that shows it.
    pub fn uses(&self) -> BTreeMap<(PathBuf, PathBuf), String> {
        let mut uses = BTreeMap::new();
        for (index, module) in self.0.iter().enumerate() {
            for (name, &child) in &module.children {
                self.note(&mut uses, index, child, &format!("mod {name}"));
            }
            for path in &module.paths {
                if let Some(target) = self.resolve(index, path, &mut Seen::new()) {
                    self.note(&mut uses, index, target, &path.join("::"));
                }
            }
            for path in &module.globs {
                if let Some(target) = self.module_at(index, path) {
                    self.note(&mut uses, index, target, &format!("{}::*", path.join("::")));
                }
            }
        }
        uses
    }

    fn note(
        &self,
        uses: &mut BTreeMap<(PathBuf, PathBuf), String>,
        from: usize,
        to: usize,
        name: &str,
    ) {
        let (from, to) = (&self.0[from].file, &self.0[to].file);
        if from != to {
            uses.entry((from.clone(), to.clone()))
                .or_insert_with(|| name.to_owned());
        }
    }

    /// The module that defines what `path` names in the module `at`, if it belongs to this crate.
    fn resolve(&self, at: usize, path: &[String], seen: &mut Seen) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(self.walk(0, rest, seen)),
            "self" => Some(self.walk(at, rest, seen)),
            "super" => self.resolve_above(at, rest, seen),
            _ => self.member(at, first, rest, seen),
        }
    }

    fn resolve_above(&self, at: usize, path: &[String], seen: &mut Seen) -> Option<usize> {
        let parent = self.0[at].parent?;
        match path.first().map(String::as_str) {
            Some("super") => self.resolve_above(parent, &path[1..], seen),
            _ => Some(self.walk(parent, path, seen)),
        }
    }

    /// Follows `path` from the module `at`; a name that is not found is taken to be defined there.
    fn walk(&self, at: usize, path: &[String], seen: &mut Seen) -> usize {
        match path.split_first() {
            Some((first, rest)) => self.member(at, first, rest, seen).unwrap_or(at),
            None => at,
        }
    }

    /// What `name`, followed by `rest`, is in the module `at`.
    fn member(&self, at: usize, name: &str, rest: &[String], seen: &mut Seen) -> Option<usize> {
        if !seen.insert((at, name.to_owned())) {
            return None;
        }
        let module = &self.0[at];
        if let Some(&child) = module.children.get(name) {
            return Some(self.walk(child, rest, seen));
        }
        if let Some(target) = module.imports.get(name) {
            let whole: Vec<String> = target.iter().chain(rest).cloned().collect();
            return self.resolve(at, &whole, seen);
        }
        if module.items.contains(name) {
            return Some(at);
        }
        let targets = module
            .globs
            .iter()
            .filter_map(|glob| self.module_at(at, glob));
        targets
            .filter(|target| *target != at)
            .find_map(|target| self.member(target, name, rest, seen))
    }

    /// The module that a path of modules leads to from the module `at`.
    fn module_at(&self, at: usize, path: &[String]) -> Option<usize> {
        path.iter()
            .enumerate()
            .try_fold(at, |module, (place, name)| match name.as_str() {
                "crate" => Some(0),
                "self" => Some(module),
                "super" => self.0[module].parent,
                _ => {
                    let children = &self.0[module].children;
                    let imported = || {
                        let target = self.0[module].imports.get(name)?;
                        (place == 0 && target != path).then(|| self.module_at(at, target))?
                    };
                    children.get(name).copied().or_else(imported)
                }
            })
    }

    fn read_file(&mut self, file: &Path, parent: Option<usize>) -> Result<usize, Unreadable> {
        let unreadable = |why: String| Unreadable {
            file: file.to_owned(),
            why,
        };
        let text =
            fs::read_to_string(file).map_err(|error: io::Error| unreadable(error.to_string()))?;
        let parsed = syn::parse_file(&text).map_err(|error| unreadable(error.to_string()))?;
        let stem = file.file_stem().unwrap_or_default();
        let beside = file.parent().unwrap_or(Path::new(""));
        let folder = if parent.is_none() || stem == "mod" {
            beside.to_owned()
        } else {
            beside.join(stem)
        };
        self.read_items(&parsed.items, file, &folder, parent)
    }

    fn read_items(
        &mut self,
        items: &[Item],
        file: &Path,
        folder: &Path,
        parent: Option<usize>,
    ) -> Result<usize, Unreadable> {
        let index = self.0.len();
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            paths: Vec::new(),
        });
        for item in items
            .iter()
            .filter(|item| !is_for_tests(attributes_of(item)))
        {
            match item {
                Item::Mod(module) => {
                    let child = self.read_module(module, file, folder, index)?;
                    self.0[index]
                        .children
                        .insert(module.ident.to_string(), child);
                }
                other => self.0[index].take(other),
            }
        }
        Ok(index)
    }

    fn read_module(
        &mut self,
        module: &ItemMod,
        file: &Path,
        folder: &Path,
        parent: usize,
    ) -> Result<usize, Unreadable> {
        let name = module.ident.to_string();
        if let Some((_, items)) = &module.content {
            return self.read_items(items, file, &folder.join(name), Some(parent));
        }
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(&name).join("mod.rs");
        let child = if flat.is_file() { flat } else { nested };
        self.read_file(&child, Some(parent))
    }
}

impl Module {
    /// Notes what an item declares and every path in it.
    fn take(&mut self, item: &Item) {
        if let Item::Use(import) = item {
            return self.take_import(import);
        }
        self.items.extend(name_of(item));
        self.visit_item(item);
    }

    fn take_import(&mut self, import: &ItemUse) {
        let mut leaves = Vec::new();
        spread(&import.tree, &mut Vec::new(), &mut leaves);
        for (path, name) in leaves {
            match name {
                Some(name) => {
                    self.paths.push(path.clone());
                    self.imports.insert(name, path);
                }
                None => self.globs.push(path),
            }
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes_of(item)) {
            return;
        }
        match item {
            // An import inside a function: its names count as the module's.
            Item::Use(import) => self.take_import(import),
            other => syn::visit::visit_item(self, other),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            syn::visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if segments.len() > 1 {
            self.paths.push(segments);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        paths_in(called.tokens.clone(), &mut self.paths);
    }
}

/// The paths of two names and more among the tokens of a macro's call, which has no syntax of its own.
fn paths_in(tokens: proc_macro2::TokenStream, paths: &mut Vec<Vec<String>>) {
    use proc_macro2::TokenTree;
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    let mut finish = |path: &mut Vec<String>| {
        if path.len() > 1 {
            paths.push(path.clone());
        }
        path.clear();
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    finish(&mut path);
                }
                path.push(name.to_string());
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
            other => {
                // `crate::a::$name`: which name it is, the macro's caller says.
                if colons == 2 {
                    path.clear();
                }
                finish(&mut path);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    groups.push(group.stream());
                }
            }
        }
    }
    finish(&mut path);
    for group in groups {
        paths_in(group, paths);
    }
}

/// The imported paths of a `use`, each with the name that it gets; none is `*`.
fn spread(
    tree: &UseTree,
    prefix: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, Option<String>)>,
) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            spread(&path.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((prefix.clone(), prefix.last().cloned()));
        }
        UseTree::Name(name) => {
            leaves.push((joined(prefix, &name.ident), Some(name.ident.to_string())))
        }
        UseTree::Rename(name) => {
            leaves.push((joined(prefix, &name.ident), Some(name.rename.to_string())));
        }
        UseTree::Glob(_) => leaves.push((prefix.clone(), None)),
        UseTree::Group(group) => {
            for tree in &group.items {
                spread(tree, prefix, leaves);
            }
        }
    }
}

fn joined(prefix: &[String], name: &syn::Ident) -> Vec<String> {
    let mut path = prefix.to_vec();
    if name != "self" {
        path.push(name.to_string());
    }
    path
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether only tests compile what has these attributes: `#[cfg(test)]`, also as one condition of `all`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Meta>()
                    .is_ok_and(|condition| needs_test(&condition))
    })
}

fn needs_test(condition: &syn::Meta) -> bool {
    match condition {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(
                syn::punctuated::Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated,
            )
            .is_ok_and(|conditions| conditions.iter().any(needs_test)),
        _ => false,
    }
}
