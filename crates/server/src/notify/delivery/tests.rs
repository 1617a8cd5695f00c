use std::future::poll_fn;

use bytes::Bytes;
use quire_persistence::engines::MemoryEngine;
use quire_persistence::{LocalStore, Marks, Posting};
use tokio::time::timeout;

use super::*;

struct Office {
    notifications: Notifications,
    ada: UserId,
}

impl Office {
    fn new(keep: usize) -> Self {
        let store = Arc::new(LocalStore::open(MemoryEngine::new()).unwrap());
        let notifications = Notifications::new(store, keep, Arc::default(), None);
        Self { notifications, ada: UserId::new("ada").unwrap() }
    }

    /// Posts these numbers; gives the place behind the last.
    async fn post(&self, numbers: std::ops::RangeInclusive<u64>) -> Cursor {
        let mut last = Cursor { tag: 0, number: 0 };
        for number in numbers {
            let body = Bytes::from(number.to_string());
            let posting = Posting { key: None, posted: 0, expires: u64::MAX, body };
            let posted = self.notifications.post(self.ada.clone(), posting).await.unwrap();
            last = Cursor { tag: posted.tag, number: posted.number };
        }
        last
    }

    fn listen(&self, after: After) -> Delivery {
        self.notifications.listen(&self.ada, after)
    }
}

/// What comes, up to this many events, each by its name and body.
async fn come(delivery: &mut Delivery, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let next = timeout(std::time::Duration::from_secs(20), poll_fn(|cx| delivery.poll_event(cx))).await;
        match next.unwrap() {
            Next::Event(event) => {
                let data: serde_json::Value = serde_json::from_slice(event.data()).unwrap();
                let what = if event.name == "notification" { &data["body"] } else { &data };
                seen.push(format!("{} {what}", event.name));
            }
            Next::End(why) => seen.push(format!("end {}", why.code())),
        }
    }
    seen
}

fn notifications(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|number| format!("notification {number}")).collect()
}

#[tokio::test]
async fn more_than_a_page_comes_once_and_in_order_and_then_what_is_posted() {
    let office = Office::new(1000);
    office.post(1..=250).await;
    let mut delivery = office.listen(After::Beginning);
    assert_eq!(come(&mut delivery, 1).await, [r#"inbox {"reset":false}"#]);
    assert_eq!(come(&mut delivery, 250).await, notifications(1..=250));
    let last = office.post(251..=252).await;
    assert_eq!(come(&mut delivery, 2).await, notifications(251..=252));
    assert_eq!((delivery.place(), delivery.resume()), (last, After::Place(last)));
}

#[tokio::test]
async fn who_was_there_before_the_first_misses_nothing() {
    let office = Office::new(10);
    let mut delivery = office.listen(After::Beginning);
    come(&mut delivery, 1).await;
    let nothing = delivery.place();
    assert_eq!(nothing, Cursor { tag: 0, number: 0 });
    office.post(1..=2).await;
    assert_eq!(come(&mut delivery, 2).await, notifications(1..=2));
    assert_eq!(come(&mut office.listen(After::Place(nothing)), 2).await, notifications(1..=2));
}

#[tokio::test]
async fn what_is_read_is_told_and_does_not_come_again() {
    let office = Office::new(10);
    let last = office.post(1..=4).await;
    let mut delivery = office.listen(After::Place(last));
    // It has to look before it hears.
    assert!(poll_fn(|cx| delivery.poll_event(cx)).now_or_never().is_none());
    for marks in [Marks::UpTo(1), Marks::These(vec![3])] {
        office.notifications.mark_read(office.ada.clone(), marks, r#"{"up_to":"x"}"#.into()).await.unwrap();
    }
    assert_eq!(come(&mut delivery, 1).await, [r#"read {"up_to":"x"}"#]);
    let expected = [r#"inbox {"reset":false}"#, "notification 2", "notification 4"];
    assert_eq!(come(&mut office.listen(After::Beginning), 3).await, expected);
}

#[tokio::test]
async fn one_that_is_slower_than_the_inbox_is_deep_is_told_so() {
    let office = Office::new(5);
    office.post(1..=2).await;
    let mut delivery = office.listen(After::Beginning);
    assert_eq!(come(&mut delivery, 2).await, [r#"inbox {"reset":false}"#, "notification 1"]);
    office.post(3..=20).await;
    let mut expected = vec!["notification 2".to_owned(), r#"inbox {"reset":true}"#.to_owned()];
    expected.extend(notifications(16..=20));
    assert_eq!(come(&mut delivery, 7).await, expected);
}
