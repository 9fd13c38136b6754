// How the file system modules tell about things that went wrong but did not stop the work.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <system_error>

namespace recoup {

/// `path` is the item it is about; `message` is a whole sentence that names it again. Empty function: nobody listens.
/// Called from whichever thread found out.
using warning_function = std::function<void(const std::string& path, const std::string& message)>;

inline void warn(const warning_function& listener, const std::string& path, const std::string& message) {
  if (listener) listener(path, message);
}

/// "<what> <path>: Permission denied"
inline void warn(const warning_function& listener, const std::string& path, std::string_view what, int error_number) {
  if (!listener) return;
  std::string message(what);
  message.append(" ").append(path).append(": ").append(std::generic_category().message(error_number));
  listener(path, message);
}

}  // namespace recoup
