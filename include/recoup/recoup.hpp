// All of recoup. The list is written by cmake/umbrella.cmake (`make umbrella`); a test compares.
#pragma once

#include <recoup/chunker/bit_matrix.hpp>
#include <recoup/chunker/byte_sliced.hpp>
#include <recoup/chunker/chunker.hpp>
#include <recoup/chunker/dispatch.hpp>
#include <recoup/chunker/polynomial.hpp>
#include <recoup/chunker/rabin.hpp>
#include <recoup/chunker/scan.hpp>
#include <recoup/chunker/scan_gfni_avx2.hpp>
#include <recoup/chunker/scan_gfni_avx512.hpp>
#include <recoup/chunker/scan_portable.hpp>

#include <recoup/compress/incompressible.hpp>
#include <recoup/compress/zstd.hpp>

#include <recoup/core/bounded_queue.hpp>
#include <recoup/core/bytes.hpp>
#include <recoup/core/choose_kernel.hpp>
#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/id.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/core/read_hex.hpp>
#include <recoup/core/release_free_memory.hpp>
#include <recoup/core/release_pages.hpp>
#include <recoup/core/stable_table.hpp>
#include <recoup/core/time.hpp>
#include <recoup/core/version.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/core/worker_group.hpp>

#include <recoup/crypto/box.hpp>
#include <recoup/crypto/key_derivation.hpp>
#include <recoup/crypto/scrypt.hpp>
#include <recoup/crypto/secret.hpp>

#include <recoup/fs/apply_metadata.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/fs/exclude.hpp>
#include <recoup/fs/extended_attributes.hpp>
#include <recoup/fs/files_from.hpp>
#include <recoup/fs/glob.hpp>
#include <recoup/fs/lower_case.hpp>
#include <recoup/fs/lower_case_table.hpp>
#include <recoup/fs/metadata.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/fs/parse_size.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/fs/pattern_file.hpp>
#include <recoup/fs/patterns.hpp>
#include <recoup/fs/user_names.hpp>
#include <recoup/fs/warning.hpp>

#include <recoup/hash/dispatch.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/hash/sha256_avx512.hpp>
#include <recoup/hash/sha256_blocks.hpp>
#include <recoup/hash/sha256_lanes.hpp>
#include <recoup/hash/sha256_message.hpp>
#include <recoup/hash/sha256_sha_ni.hpp>

#include <recoup/http/client.hpp>
#include <recoup/http/message.hpp>
#include <recoup/http/options.hpp>
#include <recoup/http/rate_limit.hpp>
#include <recoup/http/transfer.hpp>

#include <recoup/json/go_print_table.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/json/indent_json.hpp>
#include <recoup/json/json_reader.hpp>
#include <recoup/json/json_tree.hpp>
#include <recoup/json/json_writer.hpp>
#include <recoup/json/utf8.hpp>

#include <recoup/ops/backup.hpp>

#include <recoup/ops/backup/backup_state.hpp>
#include <recoup/ops/backup/chunk_buffers.hpp>
#include <recoup/ops/backup/destinations.hpp>
#include <recoup/ops/backup/directory_job.hpp>
#include <recoup/ops/backup/file_saver.hpp>
#include <recoup/ops/backup/journal.hpp>
#include <recoup/ops/backup/journal_entry.hpp>
#include <recoup/ops/backup/journal_file.hpp>
#include <recoup/ops/backup/large_file.hpp>
#include <recoup/ops/backup/noted_files.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/ops/backup/own_files.hpp>
#include <recoup/ops/backup/scan.hpp>
#include <recoup/ops/backup/small_files.hpp>
#include <recoup/ops/backup/source_tree.hpp>
#include <recoup/ops/backup/stream.hpp>
#include <recoup/ops/backup/tree_saver.hpp>

#include <recoup/ops/bucket_repositories.hpp>
#include <recoup/ops/cache_directories.hpp>
#include <recoup/ops/cat.hpp>
#include <recoup/ops/check.hpp>

#include <recoup/ops/check/affected_items.hpp>
#include <recoup/ops/check/affected_search.hpp>
#include <recoup/ops/check/lost_blobs.hpp>
#include <recoup/ops/check/options.hpp>
#include <recoup/ops/check/pack_check.hpp>
#include <recoup/ops/check/tree_check.hpp>

#include <recoup/ops/complete_creation.hpp>
#include <recoup/ops/copy.hpp>

#include <recoup/ops/copy/context.hpp>
#include <recoup/ops/copy/data_copier.hpp>
#include <recoup/ops/copy/options.hpp>
#include <recoup/ops/copy/snapshot_copies.hpp>
#include <recoup/ops/copy/tree_copier.hpp>

#include <recoup/ops/delete_repository.hpp>
#include <recoup/ops/diff.hpp>
#include <recoup/ops/dump.hpp>

#include <recoup/ops/dump/acl_text.hpp>
#include <recoup/ops/dump/archive_entry.hpp>
#include <recoup/ops/dump/blob_read_ahead.hpp>
#include <recoup/ops/dump/tar_writer.hpp>
#include <recoup/ops/dump/zip_writer.hpp>

#include <recoup/ops/entry_set.hpp>
#include <recoup/ops/file_reader.hpp>
#include <recoup/ops/find.hpp>

#include <recoup/ops/find/object_search.hpp>

#include <recoup/ops/forget.hpp>
#include <recoup/ops/full_index_files.hpp>
#include <recoup/ops/keys.hpp>
#include <recoup/ops/list.hpp>
#include <recoup/ops/ls.hpp>

#include <recoup/ops/ls/ncdu.hpp>

#include <recoup/ops/mount/attribute_demand.hpp>
#include <recoup/ops/mount/blob_loader.hpp>
#include <recoup/ops/mount/inode_table.hpp>
#include <recoup/ops/mount/mount_point.hpp>
#include <recoup/ops/mount/mounted_directory.hpp>
#include <recoup/ops/mount/mounted_file.hpp>
#include <recoup/ops/mount/mounted_repository.hpp>
#include <recoup/ops/mount/options.hpp>
#include <recoup/ops/mount/shared_cache.hpp>
#include <recoup/ops/mount/snapshot_catalog.hpp>
#include <recoup/ops/mount/snapshot_directory.hpp>
#include <recoup/ops/mount/time_template.hpp>

#include <recoup/ops/object_retention.hpp>
#include <recoup/ops/open_cached.hpp>
#include <recoup/ops/prune.hpp>

#include <recoup/ops/prune/marks.hpp>
#include <recoup/ops/prune/options.hpp>
#include <recoup/ops/prune/pack_usage.hpp>
#include <recoup/ops/prune/plan.hpp>
#include <recoup/ops/prune/repack.hpp>
#include <recoup/ops/prune/used_entries.hpp>

#include <recoup/ops/recover.hpp>
#include <recoup/ops/remove_bucket.hpp>
#include <recoup/ops/remove_files.hpp>
#include <recoup/ops/repair_index.hpp>
#include <recoup/ops/repair_packs.hpp>
#include <recoup/ops/repair_snapshots.hpp>
#include <recoup/ops/restore.hpp>

#include <recoup/ops/restore/content_check.hpp>
#include <recoup/ops/restore/content_writer.hpp>
#include <recoup/ops/restore/context.hpp>
#include <recoup/ops/restore/directories.hpp>
#include <recoup/ops/restore/file_planning.hpp>
#include <recoup/ops/restore/finishing.hpp>
#include <recoup/ops/restore/open_files.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/ops/restore/overwrite.hpp>
#include <recoup/ops/restore/plan.hpp>
#include <recoup/ops/restore/remove_tree.hpp>
#include <recoup/ops/restore/repeated_names.hpp>
#include <recoup/ops/restore/reporter.hpp>
#include <recoup/ops/restore/selection.hpp>
#include <recoup/ops/restore/target_file.hpp>
#include <recoup/ops/restore/tree_walk.hpp>

#include <recoup/ops/retention.hpp>

#include <recoup/ops/retention/calendar_duration.hpp>

#include <recoup/ops/rewrite.hpp>

#include <recoup/ops/rewrite/replace_snapshot.hpp>
#include <recoup/ops/rewrite/snapshot_changes.hpp>

#include <recoup/ops/rewrite_index.hpp>
#include <recoup/ops/save_and_flush.hpp>
#include <recoup/ops/snapshot_groups.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/ops/stats.hpp>
#include <recoup/ops/store_again.hpp>
#include <recoup/ops/sync.hpp>

#include <recoup/ops/sync/bucket_place.hpp>
#include <recoup/ops/sync/directory_place.hpp>
#include <recoup/ops/sync/file_names.hpp>
#include <recoup/ops/sync/place.hpp>
#include <recoup/ops/sync/plan.hpp>

#include <recoup/ops/tag.hpp>
#include <recoup/ops/tree_rewriter.hpp>
#include <recoup/ops/upgrade_repository.hpp>
#include <recoup/ops/used_blobs.hpp>
#include <recoup/ops/verify.hpp>

#include <recoup/ops/verify/blob_reading.hpp>
#include <recoup/ops/verify/live.hpp>
#include <recoup/ops/verify/live_content.hpp>
#include <recoup/ops/verify/live_options.hpp>
#include <recoup/ops/verify/live_place.hpp>
#include <recoup/ops/verify/live_properties.hpp>
#include <recoup/ops/verify/options.hpp>
#include <recoup/ops/verify/sample_choice.hpp>
#include <recoup/ops/verify/snapshot_walk.hpp>

#include <recoup/ops/walk.hpp>

#include <recoup/repo/blob.hpp>
#include <recoup/repo/blob_codec.hpp>
#include <recoup/repo/blob_group.hpp>
#include <recoup/repo/blob_index.hpp>
#include <recoup/repo/blob_saver.hpp>
#include <recoup/repo/blob_stream.hpp>
#include <recoup/repo/config.hpp>
#include <recoup/repo/id_table.hpp>
#include <recoup/repo/index_batch.hpp>
#include <recoup/repo/index_cells.hpp>
#include <recoup/repo/index_file.hpp>
#include <recoup/repo/index_places.hpp>
#include <recoup/repo/index_scan.hpp>
#include <recoup/repo/indexed_pack.hpp>
#include <recoup/repo/key_file.hpp>
#include <recoup/repo/keys.hpp>
#include <recoup/repo/lock.hpp>
#include <recoup/repo/lock_file.hpp>
#include <recoup/repo/lock_holders.hpp>
#include <recoup/repo/marked_packs.hpp>
#include <recoup/repo/node.hpp>
#include <recoup/repo/node_json.hpp>
#include <recoup/repo/pack_builder.hpp>
#include <recoup/repo/pack_header.hpp>
#include <recoup/repo/pack_mark.hpp>
#include <recoup/repo/pack_parts.hpp>
#include <recoup/repo/pack_reader.hpp>
#include <recoup/repo/pack_writer.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/segment_array.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/repo/tree.hpp>
#include <recoup/repo/tree_parts.hpp>
#include <recoup/repo/tree_reader.hpp>
#include <recoup/repo/unindexed_packs.hpp>
#include <recoup/repo/unpacked.hpp>

#include <recoup/s3/bucket.hpp>

#include <recoup/s3/bucket/anonymous_access.hpp>
#include <recoup/s3/bucket/lifecycle.hpp>
#include <recoup/s3/bucket/lifecycle_json.hpp>
#include <recoup/s3/bucket/list.hpp>
#include <recoup/s3/bucket/policy.hpp>
#include <recoup/s3/bucket/policy_comparison.hpp>
#include <recoup/s3/bucket/setting.hpp>
#include <recoup/s3/bucket/uploads.hpp>
#include <recoup/s3/bucket/usage.hpp>
#include <recoup/s3/bucket/versioning.hpp>

#include <recoup/s3/client.hpp>
#include <recoup/s3/concurrency.hpp>
#include <recoup/s3/credentials.hpp>

#include <recoup/s3/credentials/environment.hpp>
#include <recoup/s3/credentials/fetched.hpp>
#include <recoup/s3/credentials/ini_file.hpp>
#include <recoup/s3/credentials/mc_config.hpp>
#include <recoup/s3/credentials/metadata_service.hpp>
#include <recoup/s3/credentials/process.hpp>
#include <recoup/s3/credentials/profile.hpp>
#include <recoup/s3/credentials/provider.hpp>
#include <recoup/s3/credentials/secret_text.hpp>
#include <recoup/s3/credentials/sts.hpp>

#include <recoup/s3/endpoint.hpp>
#include <recoup/s3/error.hpp>
#include <recoup/s3/location.hpp>
#include <recoup/s3/multipart.hpp>
#include <recoup/s3/object.hpp>
#include <recoup/s3/object_lock.hpp>
#include <recoup/s3/retry.hpp>
#include <recoup/s3/settings.hpp>
#include <recoup/s3/signature.hpp>
#include <recoup/s3/tags.hpp>
#include <recoup/s3/uri.hpp>
#include <recoup/s3/xml.hpp>

#include <recoup/schedule/calendar.hpp>
#include <recoup/schedule/calendar_expression.hpp>
#include <recoup/schedule/calendar_reader.hpp>
#include <recoup/schedule/conversion.hpp>
#include <recoup/schedule/cron.hpp>
#include <recoup/schedule/definition.hpp>
#include <recoup/schedule/definition_check.hpp>
#include <recoup/schedule/definition_json.hpp>
#include <recoup/schedule/environment_file.hpp>
#include <recoup/schedule/hardening.hpp>
#include <recoup/schedule/next_run.hpp>
#include <recoup/schedule/on_calendar.hpp>
#include <recoup/schedule/on_calendar_lines.hpp>
#include <recoup/schedule/on_calendar_text.hpp>
#include <recoup/schedule/schedule_files.hpp>
#include <recoup/schedule/time_zone.hpp>
#include <recoup/schedule/unit_text.hpp>
#include <recoup/schedule/units.hpp>
#include <recoup/schedule/zone_rule.hpp>

#include <recoup/storage/backend.hpp>
#include <recoup/storage/cache.hpp>
#include <recoup/storage/cache_files.hpp>
#include <recoup/storage/dry_run.hpp>
#include <recoup/storage/fault.hpp>
#include <recoup/storage/forwarding.hpp>
#include <recoup/storage/gate.hpp>
#include <recoup/storage/growing_file.hpp>
#include <recoup/storage/layout.hpp>
#include <recoup/storage/load_verified.hpp>
#include <recoup/storage/local.hpp>
#include <recoup/storage/memory.hpp>
#include <recoup/storage/open_backend.hpp>
#include <recoup/storage/s3.hpp>
#include <recoup/storage/stored_file.hpp>
#include <recoup/storage/temporary_file.hpp>
#include <recoup/storage/throttle.hpp>
#include <recoup/storage/working_threads.hpp>
