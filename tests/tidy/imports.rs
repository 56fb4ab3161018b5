//! No file imports another that imports it, directly or through others: read from the paths in the code.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources;

type Path = Vec<String>;

#[test]
fn no_circle_of_imports() {
    let circles = circles(&graph());
    let found: Vec<_> = circles
        .values()
        .map(|imports| {
            imports.join(
                "
",
            )
        })
        .collect();
    assert!(
        found.is_empty(),
        "move what both need to the file below:
{}",
        found.join(
            "

"
        )
    );
}

#[test]
fn every_kind_of_path_is_found() {
    let text = r##"
        //! [`crate::comment::Link`]
        use std::fmt;
        use crate::{one::{self, Thing}, two::*};
        use super::{three as four};
        use child::{inner::Item}; mod child;
        fn f<'a>(x: &'a str) { crate::five::f("crate::text::f", '"', r#"" crate::raw::f"#); four::g(); one::h(); }
        fn g() -> self::child::T { super::super::six::f() } /* crate::comment::f */
    "##;
    let module = ["a".to_owned(), "b".to_owned()];
    let found: Vec<_> = absolute_paths(&module, text).iter().map(|path| path.join("::")).collect();
    let uses = ["one", "one::Thing", "two::*", "a::three", "a::b::child::inner::Item"];
    let inline = ["five::f", "a::three::g", "one::h", "a::b::child::T", "six::f"];
    assert_eq!(found, [uses, inline].concat());
}

/// Each file with the files that it names.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The sets of files that reach each other, each with the imports that tie it.
fn circles(graph: &Graph) -> BTreeMap<BTreeSet<String>, Vec<String>> {
    let reach: BTreeMap<_, _> = graph.keys().map(|file| (file, reachable(graph, file))).collect();
    let mut circles = BTreeMap::new();
    for (file, reached) in &reach {
        let circle: BTreeSet<String> = reached.iter().filter(|other| reach[other].contains(*file)).cloned().collect();
        if circle.is_empty() {
            continue;
        }
        let mut edges = Vec::new();
        for from in &circle {
            edges.extend(graph[from].intersection(&circle).map(|to| format!("{from} -> {to}")));
        }
        circles.insert(circle, edges);
    }
    circles
}

/// What can be reached from a file in one step or more.
fn reachable(graph: &Graph, from: &String) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = graph[from].iter().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file.clone()) {
            open.extend(&graph[file]);
        }
    }
    reached
}

fn graph() -> Graph {
    let sources = sources("src");
    let files: BTreeMap<Path, &str> = sources.iter().map(|(file, _)| (module(file), file.as_str())).collect();
    let imports = |(file, text): &(String, String)| {
        let paths = absolute_paths(&module(file), text);
        // A module below another is a part of it, and may name what it is a part of.
        let is_outside = |other: &&str| !module(file).starts_with(&module(other)) || module(other).is_empty();
        let named = paths.iter().filter_map(|path| file_of(&files, path)).filter(is_outside);
        (file.clone(), named.map(str::to_owned).collect())
    };
    sources.iter().map(imports).collect()
}

/// The module that a file is: `src/sim/checkers.rs` is `sim::checkers`.
fn module(file: &str) -> Path {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Path::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The file in which the path's item is: the one of its longest beginning that is a module.
fn file_of<'a>(files: &BTreeMap<Path, &'a str>, path: &[String]) -> Option<&'a str> {
    (0..=path.len()).rev().find_map(|length| files.get(&path[..length]).copied())
}

/// Every path in the code of a module that leads to something in this crate, from the crate's root.
fn absolute_paths(module: &[String], text: &str) -> Vec<Path> {
    let tokens = tokens(&without_texts(text));
    let (uses, inline) = paths(&tokens);
    let children: BTreeSet<&str> =
        tokens.windows(3).filter(|t| t[0] == "mod" && t[2] == ";").map(|t| t[1].as_str()).collect();
    let resolve = |path: &Path| {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let rest = |from: &[String], skipped| Some([from, &path[skipped..]].concat());
        match path.first()?.as_str() {
            "crate" | "regend" => rest(&[], 1),
            "self" => rest(module, 1),
            "super" => rest(&module[..module.len().checked_sub(supers)?], supers),
            name if children.contains(name) => rest(module, 0),
            _ => None,
        }
    };
    let mut names = BTreeMap::new();
    let mut absolute = Vec::new();
    for (path, name) in &uses {
        if let Some(path) = resolve(path) {
            names.insert(name.clone(), path.clone());
            absolute.push(path);
        }
    }
    for path in &inline {
        let imported = || Some([&names.get(&path[0])?[..], &path[1..]].concat());
        absolute.extend(resolve(path).or_else(imported));
    }
    absolute
}

/// The code without comments, and without what stands between quotes.
fn without_texts(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(end) = raw_text(rest) {
            end
        } else if first == '"' {
            quoted(rest, '"').unwrap_or(rest.len())
        } else if first == '\'' && (rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'').unwrap_or(rest.len())
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// Where a text of the form `r#"…"#` ends, if it begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?;
    let (hashes, _) = hashes.split_at(hashes.find('"').filter(|n| hashes[..*n].chars().all(|c| c == '#'))?);
    let begin = 2 + hashes.len();
    Some(begin + rest[begin..].find(&format!("\"{hashes}"))? + 1 + hashes.len())
}

/// Where what begins with this quote ends.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (n, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(n + 1),
            _ => {}
        }
    }
    None
}

/// Words, `::`, and every other sign by itself.
fn tokens(code: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The paths of all `use` declarations, each with the name that it brings, and those in the rest of the code.
fn paths(tokens: &[String]) -> (Vec<(Path, String)>, Vec<Path>) {
    let (mut uses, mut inline) = (Vec::new(), Vec::new());
    let mut n = 0;
    while n < tokens.len() {
        if tokens[n] == "use" {
            let end = n + tokens[n..].iter().position(|token| token == ";").unwrap_or(tokens.len() - n);
            expand(&tokens[n + 1..end], &[], &mut uses);
            n = end;
        } else if tokens.get(n + 1).is_some_and(|next| next == "::") {
            let mut path = vec![tokens[n].clone()];
            while tokens.get(n + 1).is_some_and(|next| next == "::") && n + 2 < tokens.len() {
                path.push(tokens[n + 2].clone());
                n += 2;
            }
            inline.push(path);
        }
        n += 1;
    }
    (uses, inline)
}

/// The paths of one tree of a `use` declaration.
fn expand(tree: &[String], before: &[String], uses: &mut Vec<(Path, String)>) {
    let mut path = before.to_vec();
    for (n, token) in tree.iter().enumerate() {
        match token.as_str() {
            "::" => {}
            "{" => {
                let mut depth = 0;
                let inside = &tree[n + 1..tree.len() - 1];
                let branches = inside.split(|token| {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    token == "," && depth == 0
                });
                branches.filter(|branch| !branch.is_empty()).for_each(|branch| expand(branch, &path, uses));
                return;
            }
            "as" => {
                uses.push((path, tree[n + 1].clone()));
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    uses.push((path, name));
}
