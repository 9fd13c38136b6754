// What the tests of calendar expressions share.
#pragma once

#include <recoup/schedule/calendar.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace recoup {

/// The message of the refusal; a failure of the test if there is none.
template <class Work>
std::string refusal(Work&& work) {
  try {
    work();
  } catch (const error& problem) {
    EXPECT_EQ(problem.code(), error_code::invalid_argument);
    return problem.what();
  }
  ADD_FAILURE() << "was not refused";
  return {};
}

inline std::string refusal_of(std::string_view text, calendar_syntax syntax = calendar_syntax::automatic) {
  SCOPED_TRACE(std::string(text));
  return refusal([&] { (void)parse_calendar(text, syntax); });
}

inline std::string normalised(std::string_view text, calendar_syntax syntax = calendar_syntax::automatic) {
  return normalised_calendar(parse_calendar(text, syntax));
}

using texts = std::vector<std::string>;

inline timestamp instant(std::string_view rfc3339) {
  const auto time = parse_rfc3339(rfc3339);
  EXPECT_TRUE(time) << rfc3339;
  return time.value_or(timestamp{});
}

inline texts shown_runs(std::string_view text, std::string_view after, std::size_t count, const time_zone& zone) {
  texts shown;
  for (const auto& run : next_runs(parse_calendar(text), instant(after), count, zone)) shown.push_back(to_rfc3339(run));
  return shown;
}

}  // namespace recoup
