//! Settings: flags, then environment, then file, then defaults.

use std::process::Command;

use serde_json::Value;

use crate::fixture::{Quire, failure_of, program, text};

fn shown(command: &mut Command) -> Value {
    let output = command.args(["config", "show", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Value and source of a setting.
fn setting(shown: &Value, name: &str) -> (String, String) {
    let all = shown["settings"].as_array().unwrap();
    let one = all.iter().find(|one| one["setting"] == name).unwrap();
    let field = |field: &str| one[field].as_str().unwrap().to_owned();
    (field("value"), field("source"))
}

fn pair(value: &str, source: &str) -> (String, String) {
    (value.to_owned(), source.to_owned())
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let quire = Quire::new();
    let dir = quire.dir().to_str().unwrap();
    let at = || {
        let mut command = program();
        command.args(["--data-dir", dir]);
        command
    };
    let none = shown(&mut at());
    assert!(none["file"].is_null());
    assert_eq!(setting(&none, "confirmations"), pair("0", "default"));
    assert_eq!(setting(&none, "data_dir"), pair(dir, "flag"));
    assert_eq!(
        setting(&none, "l1"),
        pair(&format!("{dir}/rollup/l1.redb"), "default")
    );

    let file = quire.write(
        "quire.toml",
        "confirmations = 6\nkeys_dir = \"k\"\nmemory = \"1GiB\"\n",
    );
    let own = shown(&mut at());
    assert_eq!(own["file"], file.as_str());
    assert_eq!(setting(&own, "confirmations"), pair("6", "file"));
    assert_eq!(setting(&own, "keys_dir"), pair(&format!("{dir}/k"), "file"));
    let environment = shown(at().env("QUIRE_CONFIRMATIONS", "7"));
    assert_eq!(
        setting(&environment, "confirmations"),
        pair("7", "environment")
    );
    let flag = shown(
        at().env("QUIRE_CONFIRMATIONS", "7")
            .args(["--confirmations", "8"]),
    );
    assert_eq!(setting(&flag, "confirmations"), pair("8", "flag"));
    assert_eq!(setting(&flag, "memory"), pair("1GiB", "file"));
    // An empty variable is none.
    let empty = shown(at().env("QUIRE_CONFIRMATIONS", ""));
    assert_eq!(setting(&empty, "confirmations"), pair("6", "file"));
}

/// One file is read: the named one, the data directory's, or the user's.
#[test]
fn one_file_is_read() {
    let quire = Quire::new();
    let named = quire.write("named.toml", "confirmations = 1\n");
    let user = quire.path("user");
    std::fs::create_dir_all(user.join("quire")).unwrap();
    std::fs::write(
        user.join("quire/config.toml"),
        "threads = 3\ndata_dir = \"d\"\n",
    )
    .unwrap();
    let at = || {
        let mut command = program();
        command
            .env("XDG_CONFIG_HOME", &user)
            .current_dir(quire.dir());
        command
    };
    let of_user = shown(&mut at());
    assert_eq!(setting(&of_user, "threads"), pair("3", "file"));
    let expected = user.join("quire/d");
    assert_eq!(setting(&of_user, "data_dir").0, expected.to_str().unwrap());
    std::fs::create_dir(quire.path("quire-data")).unwrap();
    quire.write("quire-data/quire.toml", "confirmations = 2\n");
    let own = shown(&mut at());
    assert_eq!(setting(&own, "confirmations"), pair("2", "file"));
    assert_eq!(setting(&own, "threads").1, "default");
    let by_variable = shown(at().env("QUIRE_CONFIG", &named));
    assert_eq!(setting(&by_variable, "confirmations"), pair("1", "file"));
    let other = quire.write("other.toml", "confirmations = 9\n");
    let by_flag = shown(at().env("QUIRE_CONFIG", &named).args(["--config", &other]));
    assert_eq!(setting(&by_flag, "confirmations"), pair("9", "file"));
}

#[test]
fn what_is_not_a_setting_is_refused_with_its_line() {
    let quire = Quire::new();
    for (contents, expected) in [
        ("\nthread = 2\n", "line 2: unknown field `thread`"),
        ("threads = 0\n", "1 to 1024"),
        ("confirmations = \"6\"\n", "line 1"),
        ("data_dir = \"x\"\n", "data directory's own file"),
        ("allow_dev_keys = true\n", "data directory's own file"),
        ("eth_key_file = \"op.key\"\n", "data directory's own file"),
        ("= 2\n", "line 1"),
    ] {
        quire.write("quire.toml", contents);
        let message = quire.fails_with(2, &["status"]);
        assert!(
            message.contains(expected) && message.contains("quire.toml"),
            "{message}"
        );
    }
    quire.write("quire.toml", [0xff, 0xfe]);
    quire.fails(&["status"]);
    std::fs::remove_file(quire.path("quire.toml")).unwrap();
    // Nor is a file passed over that cannot be read: a link that leads nowhere, a folder.
    std::os::unix::fs::symlink("/nonexistent", quire.path("quire.toml")).unwrap();
    let message = quire.fails(&["config", "show"]);
    assert!(message.contains("quire.toml"), "{message}");
    std::fs::remove_file(quire.path("quire.toml")).unwrap();
    std::fs::create_dir(quire.path("quire.toml")).unwrap();
    let message = quire.fails(&["config", "show"]);
    assert!(message.contains("quire.toml"), "{message}");
    std::fs::remove_dir(quire.path("quire.toml")).unwrap();
    for (variable, value) in [
        ("QUIRE_CONFIRMATIONS", "-1"),
        ("QUIRE_CONFIRMATIONS", "6 blocks"),
        ("QUIRE_ALLOW_DEV_KEYS", "yes"),
        ("QUIRE_THREADS", "0"),
        ("QUIRE_THREADS", "70000"),
    ] {
        let mut command = program();
        command.env(variable, value).args(["config", "show"]);
        let (status, message) = failure_of(&mut command, &[variable]);
        assert!(status == 2 && message.contains(variable), "{message}");
    }
    let missing = quire.fails(&["config", "show", "--config", "/nonexistent.toml"]);
    assert!(missing.contains("/nonexistent.toml"), "{missing}");
}

/// Off a terminal nothing is coloured; tracing goes to standard error and only when asked for.
#[test]
fn output_is_plain_off_a_terminal() {
    let quire = Quire::with_accounts();
    for args in [
        &["account", "2", "3"][..],
        &["audit"],
        &["status"],
        &["wallet", "list"],
    ] {
        let output = quire.command(args).output().unwrap();
        assert!(output.status.success());
        assert!(!text(&output.stdout).contains('\u{1b}'), "{args:?}");
    }
    let quiet = quire.command(&["status"]).output().unwrap();
    assert!(quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
    let told = quire.command(&["status", "-vv"]).output().unwrap();
    assert_eq!(told.stdout, quiet.stdout);
    let told = text(&told.stderr);
    assert!(
        told.contains("opening L1") && !told.contains('\u{1b}'),
        "{told}"
    );
}
