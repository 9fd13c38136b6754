// Which snapshots of a group to keep: restic's policies (its internal/data/snapshot_policy.go), with the same decisions and the same
// reasons for them.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/time.hpp>
#include <recoup/ops/retention/calendar_duration.hpp>
#include <recoup/ops/snapshots.hpp>

namespace recoup {

/// Whatever one rule keeps is kept.
struct retention_policy {
  static constexpr std::int64_t unlimited = -1;

  /// So many of the newest: of all, or of those that are the newest of their hour, day, ISO week, month or year.
  std::int64_t last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;
  /// All that are newer than the newest less this span, or of those the newest of each hour, day, …
  calendar_duration within{}, within_hourly{}, within_daily{}, within_weekly{}, within_monthly{}, within_yearly{};
  /// All that have every tag of one of these lists; see has_tags().
  std::vector<std::vector<std::string>> tags{};

  [[nodiscard]] friend bool operator==(const retention_policy&, const retention_policy&) = default;

  /// True if no rule is given, so that nothing would be kept.
  [[nodiscard]] bool is_empty() const { return *this == retention_policy{}; }

  /// Throws invalid_argument if a number makes no sense.
  void require_valid() const {
    for (const auto count : {last, hourly, daily, weekly, monthly, yearly})
      if (count < unlimited)
        throw error(error_code::invalid_argument, "negative values other than -1 are not allowed for --keep-*");
    for (const auto* span : {&within, &within_hourly, &within_daily, &within_weekly, &within_monthly, &within_yearly})
      if (span->has_negative_part())
        throw error(error_code::invalid_argument, "durations containing negative values are not allowed for --keep-within*");
  }

  /// "keep 3 latest, 7 daily snapshots and all snapshots within 2d of the newest"; "remove" if it is empty.
  [[nodiscard]] std::string text() const;

  /// A number or "unlimited". Throws invalid_argument in restic's words.
  [[nodiscard]] static std::int64_t parse_count(std::string_view text) {
    if (text == "unlimited") return unlimited;
    const auto refuse = [text](const char* why) {
      return error(error_code::invalid_argument, "strconv.ParseInt: parsing \"" + go_quoted(text) + "\": " + why);
    };
    const auto digits = text.substr(text.starts_with('+') ? 1 : 0);
    std::int64_t count = 0;
    const auto [stopped, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (stopped != digits.data() + digits.size() || (problem != std::errc() && problem != std::errc::result_out_of_range) ||
        (digits.size() < text.size() && digits.starts_with('-')))
      throw refuse("invalid syntax");
    if (problem != std::errc()) throw refuse("value out of range");
    if (count < 0) throw error(error_code::invalid_argument, "negative values not allowed, use 'unlimited' instead");
    return count;
  }
};

/// How many more a rule may keep; -1 is unlimited.
struct retention_counters {
  std::int64_t last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;

  [[nodiscard]] friend bool operator==(const retention_counters&, const retention_counters&) noexcept = default;
};

struct kept_snapshot {
  found_snapshot found;
  std::vector<std::string> reasons;  ///< "last snapshot", "oldest weekly snapshot", "within 1y", "has tags [a, b]"
  retention_counters left;           ///< behind this one
};

/// Newest first, both.
struct retention_decision {
  std::vector<kept_snapshot> keep;
  std::vector<found_snapshot> remove;
};

namespace retention {

/// "[a, b]".
[[nodiscard]] inline std::string in_brackets(const std::vector<std::string>& list, const char* separator = ", ") {
  std::string text = "[";
  for (std::size_t i = 0; i < list.size(); ++i) text += (i == 0 ? "" : separator) + list[i];
  return text + "]";
}

/// A number for a span of time, other than for the one before and behind. Never -1.
using bucket_function = std::int64_t (*)(const calendar::wall_clock&, std::int64_t position);

inline std::int64_t each(const calendar::wall_clock&, std::int64_t position) { return position; }
inline std::int64_t year_of(const calendar::wall_clock& at, std::int64_t) { return static_cast<int>(at.date.year()); }
inline std::int64_t month_of(const calendar::wall_clock& at, std::int64_t) {
  return year_of(at, 0) * 100 + static_cast<unsigned>(at.date.month());
}
inline std::int64_t day_of(const calendar::wall_clock& at, std::int64_t) {
  return month_of(at, 0) * 100 + static_cast<unsigned>(at.date.day());
}
inline std::int64_t hour_of(const calendar::wall_clock& at, std::int64_t) {
  return day_of(at, 0) * 100 + at.second_of_day / 3600;
}
/// ISO 8601: a week belongs to the year of its Thursday.
inline std::int64_t week_of(const calendar::wall_clock& at, std::int64_t) {
  using namespace std::chrono;
  const sys_days day{days{at.day}};
  const auto thursday = day + days{4 - static_cast<int>(weekday{day}.iso_encoding())};
  const year_month_day date{thursday};
  const auto day_of_year = (thursday - sys_days{date.year() / January / 1}).count();
  return static_cast<std::int64_t>(static_cast<int>(date.year())) * 100 + day_of_year / 7 + 1;
}

struct counted_rule {
  std::int64_t left;
  bucket_function bucket;
  const char* reason;
  std::int64_t latest_bucket = -1;
};

struct spanning_rule {
  const calendar_duration* span;
  bucket_function bucket;
  const char* reason;
  std::int64_t latest_bucket = -1;
};

/// Goes through the snapshots of a group, newest first.
class policy_run {
public:
  /// `latest`: what the spans are counted back from.
  policy_run(const retention_policy& policy, const timestamp& latest) : policy_(policy), latest_(latest) {}

  /// Why the snapshot is kept; empty if it is not.
  [[nodiscard]] std::vector<std::string> reasons_for(const snapshot& current, std::int64_t position, bool is_oldest) {
    std::vector<std::string> reasons;
    for (const auto& list : policy_.tags)
      if (has_tags(current, list)) reasons.push_back("has tags " + in_brackets(list));
    if (is_within(policy_.within, current)) reasons.push_back("within " + policy_.within.text());

    const auto clock = calendar::wall_clock_of(current.time);
    for (auto& rule : counted_) {
      if (rule.left == 0) continue;
      if (add_reason(reasons, rule, rule.bucket(clock, position), is_oldest, "") && rule.left > 0) --rule.left;
    }
    for (auto& rule : spanning_)
      if (is_within(*rule.span, current))
        add_reason(reasons, rule, rule.bucket(clock, position), is_oldest, " " + rule.span->text());
    return reasons;
  }

  [[nodiscard]] retention_counters left() const {
    return {counted_[0].left, counted_[1].left, counted_[2].left, counted_[3].left, counted_[4].left, counted_[5].left};
  }

private:
  [[nodiscard]] bool is_within(const calendar_duration& span, const snapshot& current) const {
    return !span.is_zero() && earlier(earlier_by(latest_, span), current.time);
  }

  /// The oldest of all is kept as long as a rule is not used up, so that history reaches as far back as it can.
  template <class Rule>
  static bool add_reason(std::vector<std::string>& reasons, Rule& rule, std::int64_t bucket, bool is_oldest,
                         const std::string& suffix) {
    const bool is_new = bucket != rule.latest_bucket;
    if (!is_new && !is_oldest) return false;
    rule.latest_bucket = bucket;
    reasons.push_back((is_new ? "" : "oldest ") + std::string(rule.reason) + suffix);
    return true;
  }

  const retention_policy& policy_;
  const timestamp latest_;
  std::array<counted_rule, 6> counted_{{{policy_.last, each, "last snapshot"},
                                        {policy_.hourly, hour_of, "hourly snapshot"},
                                        {policy_.daily, day_of, "daily snapshot"},
                                        {policy_.weekly, week_of, "weekly snapshot"},
                                        {policy_.monthly, month_of, "monthly snapshot"},
                                        {policy_.yearly, year_of, "yearly snapshot"}}};
  std::array<spanning_rule, 5> spanning_{{{&policy_.within_hourly, hour_of, "hourly within"},
                                          {&policy_.within_daily, day_of, "daily within"},
                                          {&policy_.within_weekly, week_of, "weekly within"},
                                          {&policy_.within_monthly, month_of, "monthly within"},
                                          {&policy_.within_yearly, year_of, "yearly within"}}};
};

/// The newest time that is not in the future; the beginning of year 1, Go's zero, if there is none.
[[nodiscard]] inline timestamp latest_before(const timestamp& now, const std::vector<found_snapshot>& snapshots) {
  timestamp latest{-62135596800, 0, 0};
  for (const auto& each : snapshots)
    if (earlier(latest, each.snapshot.time) && earlier(each.snapshot.time, now)) latest = each.snapshot.time;
  return latest;
}

inline void append(std::string& to, std::string_view separator, const std::string& text) {
  if (!to.empty()) to += separator;
  to += text;
}

}  // namespace retention

inline std::string retention_policy::text() const {
  using retention::append;
  std::string counts, spans, result;
  const auto add_count = [&counts](std::int64_t count, const char* what) {
    if (count != 0) append(counts, ", ", (count < 0 ? "all" : std::to_string(count)) + what);
  };
  add_count(last, " latest"), add_count(hourly, " hourly"), add_count(daily, " daily");
  add_count(weekly, " weekly"), add_count(monthly, " monthly"), add_count(yearly, " yearly");
  const auto add_span = [&spans](const calendar_duration& span, const char* what) {
    if (!span.is_zero()) append(spans, ", ", what + (" snapshots within " + span.text()));
  };
  add_span(within_hourly, "hourly"), add_span(within_daily, "daily"), add_span(within_weekly, "weekly");
  add_span(within_monthly, "monthly"), add_span(within_yearly, "yearly");

  if (!counts.empty()) result = counts + " snapshots";
  if (!spans.empty()) append(result, ", ", spans);
  if (!tags.empty()) {
    std::vector<std::string> lists;
    for (const auto& list : tags) lists.push_back(retention::in_brackets(list));
    append(result, " and ", "all snapshots with tags " + retention::in_brackets(lists, " "));
  }
  if (!within.is_zero()) append(result, " and ", "all snapshots within " + within.text() + " of the newest");
  return result.empty() ? "remove" : "keep " + result;
}

/// Decides about the snapshots of one group. Hours, days and so on are those of the clock where each snapshot was made. Of
/// several with the same time, whichever came first in the list counts as newer. `now`: later snapshots are not what spans are
/// counted back from.
[[nodiscard]] inline retention_decision apply_policy(std::vector<found_snapshot> snapshots, const retention_policy& policy,
                                                     const timestamp& now = current_time()) {
  std::ranges::stable_sort(snapshots, [](const found_snapshot& a, const found_snapshot& b) {
    return earlier(b.snapshot.time, a.snapshot.time);
  });
  retention::policy_run run(policy, retention::latest_before(now, snapshots));
  retention_decision decision;
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    auto reasons = run.reasons_for(snapshots[i].snapshot, static_cast<std::int64_t>(i), i + 1 == snapshots.size());
    if (reasons.empty())
      decision.remove.push_back(std::move(snapshots[i]));
    else
      decision.keep.push_back({std::move(snapshots[i]), std::move(reasons), run.left()});
  }
  return decision;
}

}  // namespace recoup
