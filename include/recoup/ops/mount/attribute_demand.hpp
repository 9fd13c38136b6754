// Whether those who list a mount's directories want to know more than names and types: `ls -l` does, `find` does not.
//
// With attributes the kernel makes an inode of each entry, which takes most of the time of a listing. Without them it has to
// ask for each entry by name as soon as somebody wants them, which takes longer still. So listings go on as the last ones
// should have been.
#pragma once

#include <atomic>

namespace recoup {

/// Members may be called from any thread.
class attribute_demand {
public:
  /// An entry that is no directory was asked for by name. Those who only walk through the tree do not do that.
  void was_asked_for_one() noexcept { expected_ = directories_at_once; }

  /// Whether the directory that is listed next should have attributes. What has them is never asked for, so now and then one
  /// is listed without, to learn whether they are still wanted.
  [[nodiscard]] bool next() noexcept {
    auto left = expected_.load();
    while (left != 0)
      if (expected_.compare_exchange_weak(left, left - 1)) return true;
    return false;
  }

private:
  static constexpr unsigned directories_at_once = 32;
  std::atomic<unsigned> expected_{0};
};

}  // namespace recoup
