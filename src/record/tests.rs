use super::*;

fn open(directory: &tempfile::TempDir) -> Record {
    Record::open(Some(directory.path().to_owned()), "web")
}

fn identity() -> Identity {
    Identity {
        provider: "haproxy",
        endpoint: "/run/a.sock".to_owned(),
    }
}

fn entry(target: &str, by_us: bool, state: &str) -> Entry {
    Entry {
        provider: "haproxy".to_owned(),
        endpoint: "/run/a.sock".to_owned(),
        target: target.to_owned(),
        scope: "web".to_owned(),
        by_us,
        kept_out: false,
        before: Value::from(state),
    }
}

#[test]
fn what_was_kept_is_there_until_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up")).expect("kept");
    assert_eq!(record.entries(&identity()).0, [entry("web/app1", true, "up")]);
    record
        .forget(&identity(), &Target::new("web/app1"))
        .expect("forgotten");
    assert!(record.entries(&identity()).0.is_empty());
}

#[test]
fn one_that_was_out_already_does_not_replace_what_we_took_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up")).expect("kept");
    record.keep(&entry("web/app1", false, "drain")).expect("kept");
    assert_eq!(record.entries(&identity()).0, [entry("web/app1", true, "up")]);
}

#[test]
fn names_that_look_alike_are_kept_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app_1", true, "a")).expect("kept");
    record.keep(&entry("web_app/1", true, "b")).expect("kept");
    assert_eq!(record.entries(&identity()).0.len(), 2);
}

#[test]
fn damaged_files_and_links_are_ignored_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    fs::write(directory.path().join("haproxy-x.json"), "{").expect("written");
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("haproxy-y.json")).expect("linked");
    let (entries, ignored) = record.entries(&identity());
    assert!(entries.is_empty());
    assert_eq!(ignored.len(), 2, "{ignored:?}");
}

#[test]
fn without_a_directory_keeping_says_so() {
    let record = Record::open(Some(PathBuf::from("/proc/nowhere")), "web");
    assert!(record.keep(&entry("a", true, "b")).is_err());
}

#[test]
fn what_is_kept_out_stays_so_through_later_stops_and_is_as_it_was_at_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up")).expect("kept");
    let by_hand = Entry {
        kept_out: true,
        ..entry("web/app1", false, "drain")
    };
    record.keep(&by_hand).expect("kept");
    record.keep(&entry("web/app1", false, "drain")).expect("kept");
    let kept = Entry {
        kept_out: true,
        ..entry("web/app1", true, "up")
    };
    assert_eq!(record.entries(&identity()).0, [kept]);
}

#[test]
fn services_that_share_an_endpoint_do_not_bring_each_other_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let ours = open(&directory);
    let theirs = Record::open(Some(directory.path().to_owned()), "api");
    let of_theirs = Entry {
        scope: "api".to_owned(),
        ..entry("api/app1", true, "up")
    };
    ours.keep(&entry("web/app1", true, "up")).expect("kept");
    theirs.keep(&of_theirs).expect("kept");
    assert_eq!(ours.entries(&identity()).0, [entry("web/app1", true, "up")]);
    assert_eq!(ours.entry(&identity(), &Target::new("api/app1")), Some(of_theirs));
}
