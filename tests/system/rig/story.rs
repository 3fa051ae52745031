//! What an operator reads, held to what it should tell.

/// Asserts that among these lines there is one with all the words of each of `told`, in this order, and that
/// nothing follows the last: it is the verdict.
pub(crate) fn assert_story(lines: &str, told: &[&[&str]]) {
    let mut story = lines.lines();
    for words in told {
        assert!(
            story.any(|line| words.iter().all(|word| line.contains(word))),
            "{words:?}, in this order, in:\n{lines}"
        );
    }
    assert_eq!(story.next(), None, "the verdict comes last:\n{lines}");
    assert!(!lines.contains('\u{1b}'), "no colours in the journal:\n{lines}");
}
