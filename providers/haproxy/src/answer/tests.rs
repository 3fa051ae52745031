use super::*;

/// One connection each to HAProxy 2.2, 2.6 and 3.5: `set server web/app1 state drain;show info;show servers
/// state web;show stat web 4 -1;show servers state nope`. In `web`, app1 is drained, app2 is `disabled`, app3
/// is drained by its agent, whose text has quotes and a comma in it, app4 tracks app3, and app5 does not
/// resolve.
const CAPTURED: [(&str, &str); 3] = [
    ("2.2", include_str!("../../tests/captured/2.2.txt")),
    ("2.6", include_str!("../../tests/captured/2.6.txt")),
    ("3.5", include_str!("../../tests/captured/3.5.txt")),
];

#[test]
fn one_answer_to_several_commands_is_taken_apart() {
    for (version, text) in CAPTURED {
        let answer = Answer::parse(text).expect(version);
        assert!(answer.pid.is_some_and(|pid| pid > 1), "{version}");
        let states = answer.states.expect(version);
        let seen = states
            .iter()
            .map(|row| {
                (
                    row.backend,
                    row.server,
                    row.address,
                    row.port,
                    row.admin,
                    row.running,
                    row.weight,
                )
            })
            .collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                ("web", "app1", "10.0.0.7", 8080, 0x08, 2, 20),
                ("web", "app2", "10.0.0.8", 8080, 0x05, 0, 1),
                ("web", "app3", "127.0.0.1", 39001, 0x08, 2, 1),
                ("web", "app4", "fd00::7", 8080, 0x10, 2, 1),
                ("web", "app5", "-", 80, 0x20, 0, 1),
            ],
            "{version}"
        );
        assert!(
            states
                .iter()
                .all(|row| row.backend_id == "2" && row.configured_weight == row.weight)
        );
        let seen = answer
            .stats
            .iter()
            .map(|row| (row.server.as_ref(), row.status.as_ref(), row.cookie))
            .collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                ("app1", "DRAIN", true),
                ("app2", "MAINT", true),
                ("app3", "DRAIN (agent)", false),
                ("app4", "DRAIN (agent)", false),
                ("app5", "MAINT (resolution)", false),
            ],
            "{version}"
        );
        assert_eq!(answer.texts, ["Can't find backend."], "{version}");
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_in_a_table_is_not_read_as_a_shorter_one() {
    for (version, text) in CAPTURED {
        let states = text.find("1\n# be_id").expect(version);
        let end = text.find("Can't find").expect(version);
        for cut in states + 9..end - 1 {
            let answer = Answer::parse(&text[..cut]);
            // Between the tables nothing shows that another was to come: then its rows are missed.
            if let Ok(answer) = answer {
                assert!(answer.stats.is_empty(), "{version}: cut at {cut}");
            }
        }
    }
}

#[test]
fn an_empty_line_is_success_with_any_line_end() {
    assert_eq!(refusal("\n"), None);
    assert_eq!(refusal("\n\n"), None);
    assert_eq!(refusal("\r\n"), None);
}

#[test]
fn each_refusal_is_told_from_the_others() {
    for (text, expected) in [
        ("No such server.\n\n", Refusal::NoSuchServer),
        ("No such backend.\n\n", Refusal::NoSuchBackend),
        ("Can't find backend.\n\n", Refusal::NoSuchBackend),
        ("No such proxy.\n\n", Refusal::NoSuchBackend),
        ("Invalid statistics domain.\n\n", Refusal::NoSuchBackend),
        ("Permission denied\n\n", Refusal::PermissionDenied),
        ("Permission denied!\n\n", Refusal::PermissionDenied),
        ("Proxy is disabled.\n\n", Refusal::ProxyDisabled),
        (
            "Unknown command, but maybe one of the following ones is a better match:\n  help\n\n",
            Refusal::UnknownCommand,
        ),
        (
            "Unknown command. Please enter one of the following commands only :\n  help\n\n",
            Refusal::UnknownCommand,
        ),
        (
            "Can't find the target PID matching the prefix '@1'\n",
            Refusal::NoWorker,
        ),
        (
            "Require 'backend/server'.\n\n",
            Refusal::Other("Require 'backend/server'."),
        ),
    ] {
        assert_eq!(refusal(text), Some(expected), "{text}");
    }
}

#[test]
fn a_severity_in_front_changes_nothing() {
    for prefix in ["[err]: ", "[3]: ", "[warning]: ", "[info]: "] {
        let text = format!("{prefix}No such server.\n\n");
        assert_eq!(refusal(&text), Some(Refusal::NoSuchServer), "{prefix}");
        let text = format!("{prefix}admin\n\n");
        assert_eq!(Answer::parse(&text).expect("parses").texts, ["admin"]);
    }
    for text in ["[not a severity at all]: x", "[]: x]", "[err] x", "x [err]: y"] {
        assert_eq!(without_severity(text), if text == "[]: x]" { "x]" } else { text });
    }
}

#[test]
fn a_refused_command_does_not_shift_what_the_others_answered() {
    let tables = "Permission denied\n\n1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port\n3 web 1 app1 10.0.0.7 2 0 1 1 8080\n\nNo such proxy.\n\n";
    let answer = Answer::parse(tables).expect("parses");
    assert_eq!(answer.texts, ["Permission denied", "No such proxy."]);
    assert_eq!(answer.states.map(|rows| rows.len()), Some(1));
}

#[test]
fn no_states_is_not_the_same_as_a_backend_without_servers() {
    let header = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port\n\n";
    assert_eq!(Answer::parse(header).expect("parses").states, Some(Vec::new()));
    assert_eq!(
        Answer::parse("Can't find backend.\n\n").expect("parses").states,
        None
    );
}

#[test]
fn an_excerpt_is_short_and_printable() {
    assert_eq!(excerpt("plain"), "plain");
    assert_eq!(excerpt("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
    let long = excerpt(&"ü".repeat(1000));
    assert_eq!(long.chars().count(), 101);
    assert!(long.ends_with('…'));
}
