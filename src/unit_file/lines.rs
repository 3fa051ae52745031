//! The lines of unit files, as systemd.syntax(7) has them: later files add to a list, an empty value empties it.

/// The assignments of a unit's files together, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    assignments: Vec<(String, String)>,
}

impl Lines {
    /// Reads the texts of the files, the fragment first and the drop-ins in the order in which they count.
    #[must_use]
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut assignments = Vec::new();
        for text in texts {
            for line in whole_lines(text) {
                if let Some((key, value)) = line.split_once('=')
                    && !line.starts_with('[')
                {
                    assignments.push((key.trim_end().to_owned(), value.trim_start().to_owned()));
                }
            }
        }
        Self { assignments }
    }

    /// What a list such as `ExecStop=` holds in the end, each line as it was written.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<&str> {
        let mut list = Vec::new();
        for (_, value) in self.assignments.iter().filter(|(known, _)| known == key) {
            if value.is_empty() {
                list.clear();
            } else {
                list.push(value.as_str());
            }
        }
        list
    }
}

/// Lines without comments, each with those that continue it; a comment in between does not end it.
fn whole_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) || (line.is_empty() && open.is_empty()) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => {
                open.push_str(part);
                open.push(' ');
            }
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    if !open.is_empty() {
        lines.push(open);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_adds_to_a_list_and_an_empty_value_empties_it() {
        let vendor = "[Service]\n# ExecStop=/no\nExecStop=-/usr/sbin/app --stop \\\n; why\n  --retry QUIT/5\nKillMode=mixed\n";
        let own = "[Service]\nExecStop=\nExecStop=lb-drain deregister\n";
        let lines = Lines::read([vendor]);
        assert_eq!(lines.list("ExecStop"), ["-/usr/sbin/app --stop  --retry QUIT/5"]);
        let lines = Lines::read([vendor, own]);
        assert_eq!(lines.list("ExecStop"), ["lb-drain deregister"]);
    }
}
