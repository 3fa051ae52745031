use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

/// To give a file away takes root, as the other tests with a real system do.
const NOBODY: u32 = 65534;

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
        section: "edge".to_owned(),
        by_us,
        kept_out: false,
        lasting: false,
        before: Value::from(state),
    }
}

#[test]
fn what_was_kept_is_there_until_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    assert_eq!(
        record.entries(&identity(), "edge").0,
        [entry("web/app1", true, "up")]
    );
    record
        .forget(&identity(), &Target::new("web/app1"))
        .expect("forgotten");
    assert!(record.entries(&identity(), "edge").0.is_empty());
}

#[test]
fn one_that_was_out_already_does_not_replace_what_we_took_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    record
        .keep(&entry("web/app1", false, "drain"), true)
        .expect("kept");
    assert_eq!(
        record.entries(&identity(), "edge").0,
        [entry("web/app1", true, "up")]
    );
}

#[test]
fn names_that_look_alike_are_kept_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app_1", true, "a"), true).expect("kept");
    record.keep(&entry("web_app/1", true, "b"), true).expect("kept");
    assert_eq!(record.entries(&identity(), "edge").0.len(), 2);
}

#[test]
fn damaged_files_and_links_are_ignored_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    fs::write(directory.path().join("haproxy-x.json"), "{").expect("written");
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("haproxy-y.json")).expect("linked");
    let (entries, ignored) = record.entries(&identity(), "edge");
    assert!(entries.is_empty());
    assert_eq!(ignored.len(), 2, "{ignored:?}");
}

#[test]
fn without_a_directory_keeping_says_so() {
    let record = Record::open(Some(PathBuf::from("/proc/nowhere")), "web");
    assert!(record.keep(&entry("a", true, "b"), true).is_err());
}

#[test]
fn what_is_kept_out_stays_so_through_later_stops_and_is_as_it_was_at_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    let by_hand = Entry {
        kept_out: true,
        ..entry("web/app1", false, "drain")
    };
    record.keep(&by_hand, true).expect("kept");
    record
        .keep(&entry("web/app1", false, "drain"), true)
        .expect("kept");
    let kept = Entry {
        kept_out: true,
        ..entry("web/app1", true, "up")
    };
    assert_eq!(record.entries(&identity(), "edge").0, [kept]);
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
    ours.keep(&entry("web/app1", true, "up"), true).expect("kept");
    theirs.keep(&of_theirs, true).expect("kept");
    assert_eq!(
        ours.entries(&identity(), "edge").0,
        [entry("web/app1", true, "up")]
    );
    assert_eq!(ours.entry(&identity(), &Target::new("api/app1")), Some(of_theirs));
}

/// The one entry in this directory.
fn only_file(directory: &tempfile::TempDir) -> PathBuf {
    let files = fs::read_dir(directory.path()).expect("a directory");
    files
        .map(|file| file.expect("readable").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "json"))
        .expect("an entry")
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("there").mode() & 0o777
}

#[test]
fn a_link_in_the_place_of_an_entry_is_replaced_and_what_it_leads_to_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::NamedTempFile::new().expect("a file");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    let file = only_file(&directory);
    fs::remove_file(&file).expect("ours");
    std::os::unix::fs::symlink(elsewhere.path(), &file).expect("linked");

    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    assert_eq!(
        record.entries(&identity(), "edge").0,
        [entry("web/app1", true, "up")]
    );
    assert!(fs::symlink_metadata(&file).expect("there").is_file());
    assert_eq!(fs::read(elsewhere.path()).expect("readable"), b"");
}

#[test]
fn what_lies_in_the_place_of_the_scratch_file_is_removed_and_a_link_is_not_written_through() {
    let directory = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::NamedTempFile::new().expect("a file");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    let scratch = only_file(&directory).with_extension(format!("{}.tmp", std::process::id()));

    std::os::unix::fs::symlink(elsewhere.path(), &scratch).expect("linked");
    record
        .keep(&entry("web/app1", true, "weight 7"), true)
        .expect("kept");
    assert_eq!(fs::read(elsewhere.path()).expect("readable"), b"");

    // Of a run that was killed, and had our number.
    fs::write(&scratch, "{").expect("written");
    record
        .keep(&entry("web/app1", true, "weight 8"), true)
        .expect("kept");
    assert_eq!(
        record.entries(&identity(), "edge").0,
        [entry("web/app1", true, "weight 8")]
    );
    assert!(!scratch.exists());
}

#[test]
fn a_linked_directory_and_one_that_others_may_write_to_are_not_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let (real, link) = (directory.path().join("real"), directory.path().join("link"));
    fs::create_dir(&real).expect("made");
    std::os::unix::fs::symlink(&real, &link).expect("linked");
    let entry = entry("web/app1", true, "up");
    assert!(Record::open(Some(link), "web").keep(&entry, true).is_err());

    for mode in [0o777, 0o775, 0o757] {
        fs::set_permissions(&real, fs::Permissions::from_mode(mode)).expect("ours");
        let kept = Record::open(Some(real.clone()), "web").keep(&entry, true);
        assert!(kept.is_err(), "{mode:o}");
    }
    fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).expect("ours");
    std::os::unix::fs::chown(&real, Some(NOBODY), None).expect("root may give it away");
    let kept = Record::open(Some(real.clone()), "web").keep(&entry, true);
    assert!(kept.is_err(), "a directory of another user");

    std::os::unix::fs::chown(&real, Some(0), None).expect("root may take it back");
    Record::open(Some(real), "web").keep(&entry, true).expect("kept");
}

#[test]
fn what_is_kept_out_is_for_everybody_to_see_and_how_it_was_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    let kept = Entry {
        kept_out: true,
        ..entry("web/app1", true, "up, with a t0ken")
    };
    record.keep(&kept, true).expect("kept");
    let file = only_file(&directory);
    let before = file.with_extension("before");
    assert_eq!((mode(&file), mode(&before)), (0o644, 0o600));
    assert!(!fs::read_to_string(&file).expect("readable").contains("t0ken"));
    assert_eq!(record.entries(&identity(), "edge").0, [kept]);

    record
        .forget(&identity(), &Target::new("web/app1"))
        .expect("forgotten");
    assert!(!file.exists() && !before.exists());
}

#[test]
fn a_pipe_in_the_place_of_an_entry_is_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("haproxy-x.json");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("a pipe");
    let (_, ignored) = open(&directory).entries(&identity(), "edge");
    assert!(ignored[0].ends_with("ignored: not a file of ours"), "{ignored:?}");
}

#[test]
fn a_directory_that_cannot_be_read_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let record = Record::open(Some(file.path().to_owned()), "web");
    let (_, ignored) = record.entries(&identity(), "edge");
    assert!(ignored[0].contains(" ignored: "), "{ignored:?}");
}

#[test]
fn of_two_that_record_one_entry_at_once_the_one_that_took_it_out_is_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    for round in 0..200 {
        let target = format!("web/app{round}");
        std::thread::scope(|scope| {
            scope.spawn(|| record.keep(&entry(&target, true, "up"), true).expect("kept"));
            scope.spawn(|| record.keep(&entry(&target, false, "drain"), true).expect("kept"));
        });
        let kept = record.entry(&identity(), &Target::new(&target));
        assert_eq!(kept, Some(entry(&target, true, "up")));
    }
}

#[test]
fn a_lock_that_is_not_given_back_is_not_waited_for_long() {
    let directory = tempfile::tempdir().expect("a directory");
    let held = lock::take(directory.path()).expect("nobody else has it");
    let begun = std::time::Instant::now();
    open(&directory)
        .keep(&entry("web/app1", true, "up"), true)
        .expect("kept all the same");
    let waited = begun.elapsed().as_millis();
    assert!((100..1000).contains(&waited), "{waited} ms");
    drop(held);
}

#[test]
fn a_file_of_somebody_else_is_ignored_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    std::os::unix::fs::chown(only_file(&directory), Some(NOBODY), None).expect("root may give it away");
    let (entries, ignored) = record.entries(&identity(), "edge");
    assert!(entries.is_empty());
    assert!(ignored[0].ends_with("ignored: not a file of ours"), "{ignored:?}");
}

#[test]
fn an_entry_behind_a_link_is_ignored_however_right_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    let (file, moved) = (only_file(&directory), elsewhere.path().join("entry.json"));
    fs::copy(&file, &moved).expect("copied");
    fs::remove_file(&file).expect("ours");
    std::os::unix::fs::symlink(moved, file).expect("linked");
    let (entries, ignored) = record.entries(&identity(), "edge");
    assert!(entries.is_empty(), "{entries:?}");
    assert_eq!(ignored.len(), 1, "{ignored:?}");
}

#[test]
fn what_was_not_seen_in_rotation_does_not_replace_how_it_was_when_it_was_taken_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    let on_record = || record.entries(&identity(), "edge").0;
    record.keep(&entry("PUT /w", true, "7"), false).expect("kept");
    // A second stop finds the weight that the first has set.
    record.keep(&entry("PUT /w", true, "0"), false).expect("kept");
    assert_eq!(on_record(), [entry("PUT /w", true, "7")]);
    // Seen in rotation, it has come back in between.
    record.keep(&entry("PUT /w", true, "9"), true).expect("kept");
    assert_eq!(on_record(), [entry("PUT /w", true, "9")]);
}

#[test]
fn a_damaged_file_in_the_way_is_told_of_when_it_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    let kept = entry("web/app1", true, "up");
    let file = directory
        .path()
        .join(name(&kept.provider, &kept.endpoint, &kept.target));
    fs::write(&file, "{").expect("written");
    let ignored = record.keep(&kept, true).expect("kept");
    assert!(
        ignored.len() == 1 && ignored[0].contains(&*file.to_string_lossy()),
        "{ignored:?}"
    );
    assert_eq!(record.keep(&kept, true).expect("kept"), Vec::<String>::new());
}

#[test]
fn sections_that_share_an_endpoint_each_have_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = open(&directory);
    let other = Entry {
        section: "other".to_owned(),
        ..entry("web/app2", true, "up")
    };
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    record.keep(&other, true).expect("kept");
    assert_eq!(
        record.entries(&identity(), "edge").0,
        [entry("web/app1", true, "up")]
    );
    assert_eq!(record.entries(&identity(), "other").0, [other]);
}

#[test]
fn what_lasts_goes_to_the_lasting_place_and_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let places = Places::at(&directory.path().join("run"), &directory.path().join("var"));
    let record = Record {
        places,
        scope: "web".to_owned(),
    };
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    let files = |place: &str| -> Vec<_> {
        let files = fs::read_dir(directory.path().join(place))
            .into_iter()
            .flatten()
            .flatten();
        files
            .filter(|file| file.path().extension().is_some_and(|kind| kind == "json"))
            .collect()
    };
    assert_eq!((files("run").len(), files("var").len()), (1, 0));
    let lasting = Entry {
        lasting: true,
        ..entry("web/app1", true, "up")
    };
    record.keep(&lasting, true).expect("kept");
    assert_eq!((files("run").len(), files("var").len()), (0, 1));
    let mode = files("var")[0]
        .metadata()
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another stop without it changes nothing about that.
    record.keep(&entry("web/app1", true, "up"), true).expect("kept");
    assert_eq!(record.entries(&identity(), "edge").0, [lasting]);
}
