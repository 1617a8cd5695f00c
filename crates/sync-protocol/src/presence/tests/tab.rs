//! One browser tab, as far as presence goes: the `awareness` module of y-protocols below the provider of
//! y-websocket, with a channel to the other tabs of its browser.

use super::*;

/// One tab.
#[derive(Debug)]
pub(super) struct Tab {
    pub(super) client: u64,
    pub(super) identity: Option<Arc<str>>,
    /// The connection, while there is one.
    pub(super) session: Option<SessionId>,
    /// Tabs with the same number hear each other without the server.
    pub(super) browser: u64,
    /// Whether it ever lost its connection.
    pub(super) lost: bool,
    local: Option<String>,
    states: BTreeMap<u64, String>,
    /// The newest clock of each client, and when it came.
    clocks: BTreeMap<u64, (u64, Instant)>,
}

impl Tab {
    pub(super) fn new(client: u64, browser: u64, identity: Option<Arc<str>>, now: Instant) -> Self {
        // A client begins with an empty state and clock 0.
        let states = [(client, "{}".to_owned())].into();
        let clocks = [(client, (0, now))].into();
        Self {
            client,
            identity,
            session: None,
            browser,
            lost: false,
            local: Some("{}".into()),
            states,
            clocks,
        }
    }

    /// What this tab shows of everybody, itself included.
    pub(super) fn states(&self) -> &BTreeMap<u64, String> {
        &self.states
    }

    /// Whether there is somebody to be seen.
    pub(super) fn is_shown(&self) -> bool {
        self.local.is_some()
    }

    pub(super) fn set_local(&mut self, state: Option<&str>, now: Instant) -> AwarenessUpdate {
        self.local = state.map(Into::into);
        let clock = self.clocks.get(&self.client).map_or(0, |(clock, _)| clock + 1);
        self.clocks.insert(self.client, (clock, now));
        match state {
            Some(state) => drop(self.states.insert(self.client, state.into())),
            None => drop(self.states.remove(&self.client)),
        }
        self.announce(&[self.client])
    }

    /// What it says of these clients: to the server, and to the other tabs.
    pub(super) fn announce(&self, clients: &[u64]) -> AwarenessUpdate {
        AwarenessUpdate::encode(clients.iter().map(|client| AwarenessEntry {
            client: id(*client),
            clock: self.clocks.get(client).map_or(0, |(clock, _)| *clock),
            state: self.states.get(client).map(String::as_str),
        }))
    }

    /// All it knows, to a tab that has just been opened.
    pub(super) fn announce_all(&self) -> AwarenessUpdate {
        self.announce(&self.states.keys().copied().collect::<Vec<_>>())
    }

    /// Takes what the server or another tab said. What it took it says again to both.
    pub(super) fn take(&mut self, update: &AwarenessUpdate, now: Instant) -> Option<AwarenessUpdate> {
        let mut taken = Vec::new();
        for entry in update.entries() {
            let client = entry.client.value();
            let known = self.clocks.get(&client).map(|(clock, _)| *clock);
            let newer = entry.clock > known.unwrap_or(0);
            let removed = entry.clock == known.unwrap_or(0)
                && entry.state.is_none()
                && self.states.contains_key(&client);
            if !newer && !removed {
                continue;
            }
            let mut clock = entry.clock;
            match entry.state {
                Some(state) => drop(self.states.insert(client, state.into())),
                // Nobody else removes a living client: it answers with a newer clock.
                None if client == self.client && self.local.is_some() => clock += 1,
                None => drop(self.states.remove(&client)),
            }
            self.clocks.insert(client, (clock, now));
            if known.is_some() || entry.state.is_some() {
                taken.push(client);
            }
        }
        (!taken.is_empty()).then(|| self.announce(&taken))
    }

    /// Every three seconds: renews its own state when that is 15 s old, drops others' after 30 s.
    pub(super) fn check(&mut self, now: Instant) -> Vec<AwarenessUpdate> {
        let mut said = Vec::new();
        let age = |clocks: &BTreeMap<u64, (u64, Instant)>, client: u64| {
            clocks.get(&client).map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(*since))
        };
        if let Some(local) = self.local.clone()
            && age(&self.clocks, self.client) >= Duration::from_secs(15)
        {
            said.push(self.set_local(Some(&local), now));
        }
        let old = |client: &u64| age(&self.clocks, *client) >= Duration::from_secs(30);
        let silent: Vec<_> =
            self.states.keys().copied().filter(|client| *client != self.client && old(client)).collect();
        said.extend(self.drop_others(&silent));
        said
    }

    /// The connection has gone, and with it all it knew of others; the other tabs are told as much.
    pub(super) fn disconnected(&mut self) -> Option<AwarenessUpdate> {
        self.session = None;
        self.lost = true;
        let others: Vec<_> = self.states.keys().copied().filter(|client| *client != self.client).collect();
        self.drop_others(&others)
    }

    fn drop_others(&mut self, clients: &[u64]) -> Option<AwarenessUpdate> {
        self.states.retain(|client, _| !clients.contains(client));
        (!clients.is_empty()).then(|| self.announce(clients))
    }
}
