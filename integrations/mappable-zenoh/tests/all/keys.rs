//! Keys are checked when they are made.

use mappable_zenoh::{Key, KeyError, Pattern};

#[test]
fn a_key_has_no_wildcard_and_no_empty_part() {
    for good in ["a", "camera/left", "a/b/c", "ü/1"] {
        assert_eq!(good.parse::<Key>().unwrap().as_str(), good);
    }
    for malformed in ["", "/a", "a/", "a//b", "a#b", "a?b", "a$b"] {
        let error = malformed.parse::<Key>().unwrap_err();
        assert!(matches!(error, KeyError::Malformed(..)), "{malformed:?}: {error}");
    }
    for wild in ["*", "a/*", "**", "a/**/b", "a$*"] {
        assert_eq!(wild.parse::<Key>(), Err(KeyError::Wildcard(wild.to_owned())));
        assert_eq!(wild.parse::<Pattern>().unwrap().as_str(), wild);
    }
}

#[test]
fn what_zenoh_keeps_for_itself_is_no_key() {
    for reserved in ["@", "@/peer", "a/@b/c"] {
        assert_eq!(reserved.parse::<Key>(), Err(KeyError::Reserved(reserved.to_owned())));
        assert_eq!(reserved.parse::<Pattern>(), Err(KeyError::Reserved(reserved.to_owned())));
    }
}
