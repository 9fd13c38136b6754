// What a schedule's retention means for the snapshots of a repository.
#pragma once

#include <string>
#include <vector>

#include <recoup/ops/forget.hpp>
#include <recoup/schedule/definition.hpp>

namespace recoup::cli {

/// Throws schedule_error for a span that cannot be read; its path is relative to the policy.
[[nodiscard]] retention_policy policy_of(const schedule_retention& retention);

/// `host`: what the schedule's snapshots are made with.
[[nodiscard]] forget_options forget_options_of(const schedule_definition& definition, const std::string& host);

/// What require_valid() does not ask because it takes more of the engine: sizes, spans, groups. Throws schedule_error.
void require_runnable(const schedule_definition& definition);

/// What this schedule has made, as far as snapshots tell: those with its host, exactly its paths, and all its tags. One
/// without tags covers only snapshots without: one that somebody tagged by hand is meant to stay.
[[nodiscard]] std::vector<found_snapshot> snapshots_of_schedule(repository& repo, const schedule_definition& definition,
                                                                const forget_options& options);

}  // namespace recoup::cli
