// The name that the program goes by. Called as `restic`, by a link or a copy of that name, it is `restic` in all that it says,
// and answers `version` as restic does: whatever runs restic reads that first.
#pragma once

#include <string>
#include <string_view>

namespace recoup::cli {

/// The restic whose commands, flags, messages and exit codes these are.
inline constexpr std::string_view replaced_restic_version = "0.19.1";

/// "restic" if argv[0] is a file of that name, also with a version or a suffix behind it ("restic-0.19.1",
/// "restic_0.19.1_linux_amd64", "restic.real"); else "recoup".
[[nodiscard]] std::string own_name(std::string_view path);

/// Advice in messages and help names commands in backquotes, `recoup unlock`: here under the name that the user knows.
[[nodiscard]] std::string in_own_words(std::string text, std::string_view program);

}  // namespace recoup::cli
