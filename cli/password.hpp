// Where a password comes from: a file, a command, the environment, a terminal, or stdin. It is kept in memory that is
// wiped, and never appears in messages.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <recoup/crypto/secret.hpp>

#include "interrupt.hpp"
#include "terminal.hpp"

namespace recoup::cli {

struct password_source {
  std::string file;
  std::string command;
  std::string variable = "RESTIC_PASSWORD";  ///< name of the environment variable
  std::string prompt = "enter password for repository: ";
  bool insecure_none = false;                ///< an empty password was asked for
};

/// The password that the command line or the environment gives; nothing if it has to be asked for. Files and command
/// output lose white space at both ends, the environment variable does not.
[[nodiscard]] std::optional<secret_bytes> given_password(const password_source& source);

/// Asks on the terminal with the echo off, or reads one line of stdin if that is no terminal. Throws if it is empty.
[[nodiscard]] secret_bytes ask_password(terminal& screen, interrupt& signals, const std::string& prompt);

/// The same, twice on a terminal. Throws if the two differ.
[[nodiscard]] secret_bytes ask_new_password(terminal& screen, interrupt& signals, const std::string& prompt);

/// Calls `open` with the password, on a terminal up to three times as long as it throws wrong_password.
void with_password(const password_source& source, terminal& screen, interrupt& signals,
                   const std::function<void(const secret_bytes&)>& open);

/// Puts a terminal back whose echo is off at this moment; for a process that is about to end.
void restore_echo() noexcept;

}  // namespace recoup::cli
