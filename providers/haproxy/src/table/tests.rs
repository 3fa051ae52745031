use super::*;

fn stat_rows(text: &str) -> Result<(Vec<StatRow<'_>>, &str), Unreadable> {
    let mut rows = Vec::new();
    let rest = stats(text, &mut rows)?;
    Ok((rows, rest))
}

fn state_rows(text: &str) -> Result<(Vec<StateRow<'_>>, &str), Unreadable> {
    let mut rows = Vec::new();
    let rest = states(text, &mut rows)?;
    Ok((rows, rest))
}

#[test]
fn columns_are_found_by_name_wherever_they_are() {
    let text = "# pxname,new,status,svname,scur,other,qcur,\nweb,x,UP 1/3,app1,7,y,2,\n\nrest";
    let (rows, rest) = stat_rows(text).expect("reads");
    assert_eq!(rest, "rest");
    assert_eq!(
        rows,
        [StatRow {
            backend: "web".into(),
            server: "app1".into(),
            queued: 2,
            current: 7,
            status: "UP 1/3".into(),
            cookie: false,
        }]
    );

    let text = "# srv_iweight srv_uweight srv_admin_state srv_op_state srv_port srv_addr srv_name be_name be_id\n4 3 8 2 80 10.0.0.7 app1 web 9\n\n";
    let (rows, rest) = state_rows(text).expect("reads");
    assert_eq!(rest, "");
    assert_eq!(
        rows,
        [StateRow {
            backend_id: "9",
            backend: "web",
            server: "app1",
            address: "10.0.0.7",
            port: 80,
            running: 2,
            admin: 8,
            weight: 3,
            configured_weight: 4,
        }]
    );
}

#[test]
fn quoted_fields_hold_commas_quotes_and_lines() {
    let text = "# pxname,desc,svname,qcur,scur,status,\nweb,\"a \"\"b\"\", c\n\nweb,x,app9,9,9,UP,\n\",app1,0,3,\"MAINT (via a,b)\",\nweb,\"\",app2,0,0,UP,\n\n";
    let (rows, rest) = stat_rows(text).expect("reads");
    assert_eq!(rest, "");
    let seen = rows
        .iter()
        .map(|row| (row.server.as_ref(), row.current, row.status.as_ref()))
        .collect::<Vec<_>>();
    assert_eq!(seen, [("app1", 3, "MAINT (via a,b)"), ("app2", 0, "UP")]);
}

#[test]
fn a_missing_column_is_named() {
    let error = stat_rows("# pxname,svname,qcur,status,\n\n").expect_err("no scur");
    assert_eq!(
        error,
        Unreadable::Odd(r#"the answer to "show stat" has no column "scur""#.into())
    );
    let error = state_rows("# be_id be_name srv_name srv_addr srv_port\n\n").expect_err("no state");
    assert_eq!(
        error,
        Unreadable::Odd(r#"the answer to "show servers state" has no column "srv_op_state""#.into())
    );
}

#[test]
fn a_row_that_cannot_be_read_is_an_error_and_not_a_zero() {
    for row in [
        "web,app1,,0,UP,",
        "web,app1,0,,UP,",
        "web,app1,0,-1,UP,",
        "web,app1",
        "",
    ] {
        let text = format!("# pxname,svname,qcur,scur,status,\n{row}\nweb,app2,0,0,UP,\n\n");
        match stat_rows(&text) {
            Err(Unreadable::Odd(why)) => assert!(why.contains(row), "{why}"),
            other => assert!(row.is_empty(), "{other:?}"),
        }
    }
    let header =
        "# be_id be_name srv_name srv_addr srv_port srv_op_state srv_admin_state srv_uweight srv_iweight";
    for row in [
        "3 web app1 10.0.0.7 80 2 x 1 1",
        "3 web app1 10.0.0.7 80 2 0 1",
        "3 web app1 10.0.0.7 99999 2 0 1 1",
    ] {
        let text = format!("{header}\n{row}\n\n");
        assert!(matches!(state_rows(&text), Err(Unreadable::Odd(_))), "{row}");
    }
}

#[test]
fn text_behind_a_closing_quote_is_an_error() {
    let text = "# pxname,svname,qcur,scur,status,\n\"web\"x,app1,0,0,UP,\n\n";
    assert!(matches!(stat_rows(text), Err(Unreadable::Odd(_))));
}

#[test]
fn a_quote_that_never_closes_is_a_cut() {
    let text = "# pxname,svname,qcur,scur,status,\nweb,app1,0,0,\"UP,\n\n";
    assert_eq!(stat_rows(text), Err(Unreadable::CutShort));
}
