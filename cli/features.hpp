// restic's feature flags: the environment variable RESTIC_FEATURES ("a=true,b=false", or "a" alone for true), which unit files
// and containers carry from one program to the other.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace recoup::cli {

/// alpha: off unless chosen. beta: on unless turned off. stable: always on.
enum class feature_state { alpha, beta, stable };

struct feature {
  std::string_view name;
  feature_state state;
  std::string_view description;

  [[nodiscard]] bool on_by_default() const noexcept { return state != feature_state::alpha; }
};

/// All of restic 0.19, by name.
[[nodiscard]] const std::vector<feature>& all_features();
[[nodiscard]] std::string_view name_of(feature_state state);

/// The features that change what this program does. The others are either how it always works, or matter to what it lacks.
struct feature_choice {
  bool device_id_for_hardlinks = false;
};

/// Reads the variable's value. Throws invalid_argument for what restic refuses: an unknown name, a value that is no truth
/// value. Warns of a choice that changes nothing.
[[nodiscard]] feature_choice chosen_features(std::string_view text,
                                             const std::function<void(const std::string&)>& on_warning);

}  // namespace recoup::cli
