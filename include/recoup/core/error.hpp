// One exception type. Its code decides what a caller can do about it; its text says what failed, on which object, why,
// and what to do next.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace recoup {

enum class error_code {
  failure,             ///< anything without a code of its own
  invalid_argument,    ///< the caller asked for something that makes no sense
  not_found,           ///< a file, snapshot or blob that does not exist
  damaged,             ///< stored bytes are not what they must be: wrong hash, MAC, length or syntax
  unsupported,         ///< valid, but of a version or kind this program does not know
  io,                  ///< the operating system or the server refused
  access_denied,       ///< the operating system or the server does not allow it to this user
  no_space,            ///< the disk or the quota is full; trying again will not help
  incomplete,          ///< done, but some of the input could not be read
  repository_missing,  ///< there is no repository at this place
  locked,              ///< somebody else holds a lock that excludes ours
  wrong_password,      ///< no key opens with this password
  interrupted,         ///< the user or the caller asked to stop
};

/// restic's exit codes (restic doc/075_scripting.rst).
[[nodiscard]] constexpr int exit_code(error_code code) noexcept {
  switch (code) {
    case error_code::incomplete: return 3;
    case error_code::repository_missing: return 10;
    case error_code::locked: return 11;
    case error_code::wrong_password: return 12;
    case error_code::interrupted: return 130;
    default: return 1;
  }
}

class error : public std::runtime_error {
public:
  error(error_code code, const std::string& message) : std::runtime_error(message), code_(code) {}

  [[nodiscard]] error_code code() const noexcept { return code_; }

private:
  error_code code_;
};

/// An error from `errno`: "<what>: No such file or directory". Maps ENOENT to not_found, ENOSPC
/// and EDQUOT to no_space, EACCES, EPERM and EROFS to access_denied.
[[nodiscard]] inline error system_error(int number, std::string_view what) {
  const auto code = number == ENOENT                                          ? error_code::not_found
                    : (number == ENOSPC || number == EDQUOT)                  ? error_code::no_space
                    : (number == EACCES || number == EPERM || number == EROFS) ? error_code::access_denied
                                                                              : error_code::io;
  return {code, std::string(what) + ": " + std::generic_category().message(number)};
}

}  // namespace recoup
