//! What every store must do, over every engine.
//!
//! `documents` knows nothing but the trait `DocumentStore`; the other modules look into the engine below. A test that
//! fails on one engine only is named after that engine.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail in any line")]

mod archive;
mod compaction;
mod copies;
mod damage;
mod database;
mod deletion;
mod documents;
mod faults;
mod files;
mod fixture;
mod homes;
mod inbox;
mod kill;
mod tail;
mod updates;
mod verify;

macro_rules! over_engines {
    ($engines:tt: $($test:path as $name:ident),* $(,)?) => { over_engines!(@ $engines [$(($test, $name))*]); };
    (@ [$($module:ident = $home:ident),*] $tests:tt) => { $(over_engines!(# $module $home $tests);)* };
    (# $module:ident $home:ident [$(($test:path, $name:ident))*]) => {
        mod $module {
            $(#[test] fn $name() { $test(&crate::homes::$home::default()) })*
        }
    };
}

over_engines!([redb = Redb, sled = Sled, memory = Memory, faulty = Faulty, postgres = Postgres]:
    crate::documents::an_unknown_document as an_unknown_document,
    crate::documents::updates_come_back_in_order as updates_come_back_in_order,
    crate::documents::one_batch_for_many_documents as one_batch_for_many_documents,
    crate::documents::payloads_of_all_sizes as payloads_of_all_sizes,
    crate::documents::names_are_literal as names_are_literal,
    crate::documents::listing_goes_page_by_page as listing_goes_page_by_page,
    crate::documents::an_update_for_another_epoch_is_refused as an_update_for_another_epoch_is_refused,
    crate::documents::parallel_appends_give_every_seq_once as parallel_appends_give_every_seq_once,
    crate::tail::a_tail_continues_what_is_known as a_tail_continues_what_is_known,
    crate::tail::a_tail_of_another_history_is_refused as a_tail_of_another_history_is_refused,
    crate::tail::heads_tell_how_far_documents_are as heads_tell_how_far_documents_are,
    crate::compaction::a_compacted_document_equals_its_updates as a_compacted_document_equals_its_updates,
    crate::compaction::gaps_survive_compaction as gaps_survive_compaction,
    crate::compaction::a_large_snapshot_comes_back as a_large_snapshot_comes_back,
    crate::compaction::what_is_no_update_stops_compaction_only as what_is_no_update_stops_compaction_only,
    crate::compaction::appends_and_loads_go_on_meanwhile as appends_and_loads_go_on_meanwhile,
    crate::deletion::a_deleted_document_leaves_a_tombstone_and_nothing_else as a_deleted_document_leaves_a_tombstone_and_nothing_else,
    crate::deletion::a_document_made_anew_knows_who_wrote_in_the_dead_one as a_document_made_anew_knows_who_wrote_in_the_dead_one,
    crate::deletion::what_is_not_there_cannot_be_deleted as what_is_not_there_cannot_be_deleted,
    crate::deletion::a_number_that_is_given_again_is_nobody_elses as a_number_that_is_given_again_is_nobody_elses,
    crate::deletion::a_tombstone_stands_for_thirty_days as a_tombstone_stands_for_thirty_days,
    crate::inbox::notifications_come_back_in_order as notifications_come_back_in_order,
    crate::inbox::a_full_inbox_lets_the_oldest_go as a_full_inbox_lets_the_oldest_go,
    crate::inbox::a_repetition_is_known as a_repetition_is_known,
    crate::inbox::what_has_expired_is_gone as what_has_expired_is_gone,
    crate::inbox::what_is_read_stays_so as what_is_read_stays_so,
    crate::inbox::parallel_posts_give_every_number_once as parallel_posts_give_every_number_once,
);

over_engines!([redb_below = Redb, sled_below = Sled, memory_below = Memory, faulty_below = Faulty]:
    crate::tail::damage_is_an_error_of_its_document_there_too as damage_is_an_error_of_its_document_there_too,
    crate::compaction::only_what_the_catalog_speaks_of_stays as only_what_the_catalog_speaks_of_stays,
    crate::damage::every_byte_of_every_record_counts as every_byte_of_every_record_counts,
    crate::damage::a_missing_record_is_noticed as a_missing_record_is_noticed,
    crate::damage::a_surplus_record_is_noticed as a_surplus_record_is_noticed,
    crate::damage::a_catalog_entry_older_than_the_log_is_noticed as a_catalog_entry_older_than_the_log_is_noticed,
    crate::damage::a_lost_name_gives_no_number_twice as a_lost_name_gives_no_number_twice,
    crate::damage::a_damaged_document_costs_its_own_appends as a_damaged_document_costs_its_own_appends,
    crate::damage::a_damaged_entry_costs_its_own_line as a_damaged_entry_costs_its_own_line,
    crate::damage::a_store_without_its_format_is_not_new as a_store_without_its_format_is_not_new,
    crate::damage::a_later_format_is_refused as a_later_format_is_refused,
    crate::verify::a_sound_store_has_no_findings as a_sound_store_has_no_findings,
    crate::verify::every_damaged_record_is_found as every_damaged_record_is_found,
    crate::verify::what_belongs_to_no_document_is_found as what_belongs_to_no_document_is_found,
    crate::deletion::a_damaged_document_can_be_deleted as a_damaged_document_can_be_deleted,
    crate::inbox::damage_costs_one_notification as damage_costs_one_notification,
    crate::deletion::a_damaged_tombstone_costs_its_own_document as a_damaged_tombstone_costs_its_own_document,
);

over_engines!([on_redb = Redb, on_sled = Sled]:
    crate::copies::a_second_store_is_told_so as a_second_store_is_told_so,
    crate::copies::a_copy_of_a_live_store_has_everything as a_copy_of_a_live_store_has_everything,
    crate::copies::files_that_have_lost_commits_are_refused as files_that_have_lost_commits_are_refused,
);
