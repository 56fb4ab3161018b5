//! Any text as the tag that anybody with the permission can write: it is a lease, or it is not.

use regend::domain::lease::Lease;
use regend::domain::span::Span;

use super::assert_readable;

pub fn lease(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Lease>() {
        Ok(lease) => {
            let written = lease.to_string();
            assert!(written.chars().count() <= 256, "{written} does not fit a tag");
            assert_readable(&written);
            assert_readable(&lease.daemon);
            let again = written.parse::<Lease>();
            assert_eq!(again.map(|again| again.to_string()), Ok(written.clone()), "of {text:?}");
            assert!(lease.is_of(&lease.daemon), "{} is not its own", lease.daemon);
            assert!(lease.is_dead(lease.expires()) && !lease.is_dead(Span::seconds(1).before(lease.expires())));
        }
        Err(error) => assert_readable(&error.to_string()),
    }
}
