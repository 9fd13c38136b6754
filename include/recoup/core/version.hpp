// The one place where the version is written: CMakeLists.txt and the Python package read these three lines.
#pragma once

#define RECOUP_VERSION_MAJOR 0
#define RECOUP_VERSION_MINOR 1
#define RECOUP_VERSION_PATCH 0

#include <string_view>

namespace recoup {

#define RECOUP_STRINGIFY_EXPANDED(x) #x
#define RECOUP_STRINGIFY(x) RECOUP_STRINGIFY_EXPANDED(x)
/// "0.1.0"
inline constexpr std::string_view library_version =
    RECOUP_STRINGIFY(RECOUP_VERSION_MAJOR) "." RECOUP_STRINGIFY(RECOUP_VERSION_MINOR) "." RECOUP_STRINGIFY(
        RECOUP_VERSION_PATCH);
#undef RECOUP_STRINGIFY
#undef RECOUP_STRINGIFY_EXPANDED

/// What a snapshot's `program_version` says about who made it: "recoup 0.1.0".
inline constexpr std::string_view program_version_prefix = "recoup ";

}  // namespace recoup
