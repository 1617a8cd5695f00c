//! Inboxes as rows. Whatever changes one has its row locked.

use bytes::Bytes;
use tokio_postgres::Row;

use super::Core;
use super::connection::Connection;
use super::failure::{Failure, signed};
use super::writing::Writing;
use crate::error::{Damage, Place, StoreError};
use crate::inbox::{Inbox, Marks, Notification, Posted, Posting, UserId};
use crate::inspect::Checked;
use crate::keys;
use crate::local::inbox::{Head, NOTIFICATION, STATE, State, notification, sealed, sound};
use crate::record::Kind;

const STATE_LOCKED: &str = "SELECT record FROM quire.inboxes WHERE username = $1 FOR NO KEY UPDATE";

const NEW_STATE: &str =
    "INSERT INTO quire.inboxes (username, record) VALUES ($1, $2) ON CONFLICT (username) DO NOTHING";

const PUT_STATE: &str = "UPDATE quire.inboxes SET record = $2 WHERE username = $1";

const OF_KEY: &str = "SELECT number FROM quire.notifications WHERE username = $1 AND key = $2";

const OLDEST: &str =
    "SELECT number, record FROM quire.notifications WHERE username = $1 ORDER BY number LIMIT $2";

const REMOVE: &str = "DELETE FROM quire.notifications WHERE username = $1 AND number = ANY ($2)";

const INSERT: &str =
    "INSERT INTO quire.notifications (username, number, key, expires, record) VALUES ($1, $2, $3, $4, $5)";

const PAGE: &str = "SELECT number, record FROM quire.notifications \
    WHERE username = $1 AND number > $2 AND expires > $3 ORDER BY number LIMIT $4";

const THESE: &str =
    "SELECT number, record FROM quire.notifications WHERE username = $1 AND number = ANY ($2)";

const REWRITE: &str = "UPDATE quire.notifications SET record = $3 WHERE username = $1 AND number = $2";

const WITH_EXPIRED: &str = "SELECT DISTINCT username FROM quire.notifications WHERE expires <= $1";

const REMOVE_EXPIRED: &str = "DELETE FROM quire.notifications WHERE username = $1 AND expires <= $2";

/// Times beyond what a column holds are as good as never.
fn moment(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}

fn number(row: &Row) -> Result<u64, Failure> {
    Ok(u64::try_from(row.try_get::<_, i64>("number")?).unwrap_or(u64::MAX))
}

fn record(row: &Row) -> Result<Bytes, Failure> {
    Ok(Bytes::copy_from_slice(row.try_get("record")?))
}

/// A notification that is what was written. Others are told in the log, and passed over.
fn whole(user: &UserId, row: &Row) -> Result<Option<(u64, Head, Bytes)>, Failure> {
    Ok(sound(&keys::notification(user, number(row)?), record(row)?))
}

fn state(user: &UserId, row: &Row) -> Result<State, Failure> {
    Ok(State::decode(user, &keys::inbox_state(user), record(row)?)?)
}

async fn put_state(connection: &mut Connection, user: &UserId, state: &State) -> Result<(), Failure> {
    let record = state.encode(&keys::inbox_state(user));
    connection.execute(PUT_STATE, &[&user.as_str(), &&*record]).await?;
    Ok(())
}

pub(super) async fn post(
    core: &Core,
    user: &UserId,
    posting: &Posting,
    keep: usize,
    tag: u32,
) -> Result<Posted, Failure> {
    let (mut writing, mut rows) = Writing::begin_with(core, STATE_LOCKED, &[&user.as_str()]).await?;
    let result = async {
        let connection = &mut *writing.lease;
        if rows.is_empty() {
            let record = State::new(tag).encode(&keys::inbox_state(user));
            connection.execute(NEW_STATE, &[&user.as_str(), &&*record]).await?;
            // It may be somebody else's, who was first.
            rows = connection.rows(STATE_LOCKED, &[&user.as_str()]).await?;
        }
        let row = rows.first().ok_or_else(|| Failure::Refused("an inbox has gone".to_owned()))?;
        post_locked(connection, user, state(user, row)?, posting, keep.max(1) as u64).await
    }
    .await;
    writing.settle(result).await
}

async fn post_locked(
    connection: &mut Connection,
    user: &UserId,
    mut state: State,
    posting: &Posting,
    keep: u64,
) -> Result<Posted, Failure> {
    let key = posting.key.as_deref().map(str::as_bytes);
    if let Some(key) = key
        && let Some(row) = connection.row(OF_KEY, &[&user.as_str(), &key]).await?
    {
        return Ok(Posted { tag: state.tag, number: number(&row)?, is_new: false, evicted: 0 });
    }
    let evicted = make_room(connection, user, &mut state, keep, posting.posted).await?;
    state.last = state.last.saturating_add(1);
    state.count += 1;
    let head = Head {
        posted: posting.posted,
        expires: posting.expires,
        is_read: false,
        key: posting.key.as_deref().map(str::to_owned),
    };
    let record = sealed(Kind::Notification, &keys::notification(user, state.last), &head, &posting.body);
    let (last, expires) = (signed(state.last)?, moment(posting.expires));
    connection.execute(INSERT, &[&user.as_str(), &last, &key, &expires, &&*record]).await?;
    put_state(connection, user, &state).await?;
    Ok(Posted { tag: state.tag, number: state.last, is_new: true, evicted })
}

/// Lets the oldest go until there is room for one more. Gives how many of them nobody had read.
async fn make_room(
    connection: &mut Connection,
    user: &UserId,
    state: &mut State,
    keep: u64,
    now: u64,
) -> Result<u64, Failure> {
    let surplus = (state.count + 1).saturating_sub(keep);
    if surplus == 0 {
        return Ok(0);
    }
    let rows = connection.rows(OLDEST, &[&user.as_str(), &signed(surplus)?]).await?;
    let (mut evicted, mut gone) = (0, Vec::with_capacity(rows.len()));
    for row in &rows {
        let number = number(row)?;
        gone.push(signed(number)?);
        state.count = state.count.saturating_sub(1);
        let sound = whole(user, row)?;
        if sound.as_ref().is_none_or(|(_, head, _)| head.expires > now) {
            state.evicted = state.evicted.max(number);
            let is_read = sound.is_some_and(|(_, head, _)| head.is_read) || number <= state.read_up_to;
            evicted += u64::from(!is_read);
        }
    }
    connection.execute(REMOVE, &[&user.as_str(), &gone]).await?;
    Ok(evicted)
}

pub(super) async fn inbox(
    core: &Core,
    user: &UserId,
    after: u64,
    limit: usize,
    now: u64,
) -> Result<Option<(Inbox, Vec<Notification>)>, Failure> {
    let mut lease = core.pool.lease().await?;
    let row = lease.row("SELECT record FROM quire.inboxes WHERE username = $1", &[&user.as_str()]).await?;
    let Some(row) = row else {
        lease.release();
        return Ok(None);
    };
    let state = state(user, &row)?;
    let (mut found, mut after) = (Vec::new(), moment(after));
    while found.len() < limit {
        let page = i64::try_from(limit - found.len()).unwrap_or(i64::MAX).min(1000);
        let rows = lease.rows(PAGE, &[&user.as_str(), &after, &moment(now), &page]).await?;
        for row in &rows {
            after = row.try_get("number")?;
            let Some((number, head, body)) = whole(user, row)? else { continue };
            let Head { posted, expires, is_read, .. } = head;
            if expires > now {
                let is_read = is_read || number <= state.read_up_to;
                found.push(Notification { number, posted, expires, is_read, body });
            }
        }
        if i64::try_from(rows.len()).is_ok_and(|rows| rows < page) {
            break;
        }
    }
    lease.release();
    Ok(Some((state.inbox(), found)))
}

pub(super) async fn mark_read(core: &Core, user: &UserId, marks: &Marks) -> Result<(), Failure> {
    let (mut writing, rows) = Writing::begin_with(core, STATE_LOCKED, &[&user.as_str()]).await?;
    let result = async {
        let Some(row) = rows.first() else { return Ok(()) };
        let mut state = state(user, row)?;
        let connection = &mut *writing.lease;
        match marks {
            Marks::UpTo(number) => {
                let read_up_to = state.read_up_to.max((*number).min(state.last));
                if read_up_to != state.read_up_to {
                    state.read_up_to = read_up_to;
                    put_state(connection, user, &state).await?;
                }
            }
            Marks::These(numbers) => {
                let behind = numbers.iter().filter(|number| **number > state.read_up_to);
                let these: Vec<i64> = behind.filter_map(|number| i64::try_from(*number).ok()).collect();
                for row in connection.rows(THESE, &[&user.as_str(), &these]).await? {
                    if let Some((number, head, body)) = whole(user, &row)?
                        && !head.is_read
                    {
                        let head = Head { is_read: true, ..head };
                        let key = keys::notification(user, number);
                        let record = sealed(Kind::Notification, &key, &head, &body);
                        connection.execute(REWRITE, &[&user.as_str(), &signed(number)?, &&*record]).await?;
                    }
                }
            }
        }
        Ok(())
    }
    .await;
    writing.settle(result).await
}

pub(super) async fn expire(core: &Core, now: u64) -> Result<u64, Failure> {
    let mut lease = core.pool.lease().await?;
    let rows = lease.rows(WITH_EXPIRED, &[&moment(now)]).await?;
    lease.release();
    let mut expired = 0;
    for row in &rows {
        let Some(user) = UserId::new(row.try_get(0)?) else { continue };
        match expire_in(core, &user, now).await {
            Ok(gone) => expired += gone,
            // It costs this one; who asks for it is told.
            Err(Failure::Store(error)) => {
                tracing::error!(%error, "an inbox cannot be cleared of what has expired");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(expired)
}

async fn expire_in(core: &Core, user: &UserId, now: u64) -> Result<u64, Failure> {
    let (mut writing, rows) = Writing::begin_with(core, STATE_LOCKED, &[&user.as_str()]).await?;
    let result = async {
        let Some(row) = rows.first() else { return Ok(0) };
        let mut state = state(user, row)?;
        let connection = &mut *writing.lease;
        let gone = connection.execute(REMOVE_EXPIRED, &[&user.as_str(), &moment(now)]).await?;
        if gone > 0 {
            state.count = state.count.saturating_sub(gone);
            put_state(connection, user, &state).await?;
        }
        Ok(gone)
    }
    .await;
    writing.settle(result).await
}

/// Looks at every record of every inbox.
pub(super) async fn check(connection: &mut Connection, strays: &mut Vec<Checked>) -> Result<(), Failure> {
    let mut stray = |what, key: &[u8], fault| {
        strays.push(Checked::Stray(Damage { place: Place { what, key: key.into() }, fault }));
    };
    let mut after = String::new();
    loop {
        let sql =
            "SELECT username, record FROM quire.inboxes WHERE username > $1 ORDER BY username LIMIT 256";
        let rows = connection.rows(sql, &[&after]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        last.try_get::<_, &str>("username")?.clone_into(&mut after);
        for row in &rows {
            let Some(user) = UserId::new(row.try_get("username")?) else { continue };
            if let Err(Failure::Store(StoreError::DamagedInbox { what, .. })) = state(&user, row) {
                stray(STATE, &keys::inbox_state(&user), what.fault);
            }
            let (mut behind, page) = (-1_i64, 1000_i64);
            loop {
                let all = "SELECT number, record FROM quire.notifications \
                    WHERE username = $1 AND number > $2 ORDER BY number LIMIT $3";
                let rows = connection.rows(all, &[&user.as_str(), &behind, &page]).await?;
                for row in &rows {
                    behind = row.try_get("number")?;
                    let key = keys::notification(&user, number(row)?);
                    if let Err(fault) = notification(&key, record(row)?) {
                        stray(NOTIFICATION, &key, fault);
                    }
                }
                if i64::try_from(rows.len()).is_ok_and(|rows| rows < page) {
                    break;
                }
            }
        }
    }
}
