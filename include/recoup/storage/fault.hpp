// A backend that fails on purpose. Tests wrap a real one in it and let each single operation fail in turn, or cut the
// connection at each, and then ask whether the repository is still whole.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/storage/forwarding.hpp>

namespace recoup {

enum class storage_operation : std::uint8_t { create, save, load, load_all, size, remove, list };

[[nodiscard]] constexpr const char* name_of(storage_operation operation) noexcept {
  switch (operation) {
    case storage_operation::create: return "create";
    case storage_operation::save: return "save";
    case storage_operation::load: return "load";
    case storage_operation::load_all: return "load_all";
    case storage_operation::size: return "size";
    case storage_operation::remove: return "remove";
    case storage_operation::list: return "list";
  }
  return "operation";
}

enum class fault_kind : std::uint8_t {
  fail_before,  ///< reports an error and does nothing
  fail_after,   ///< does it, and then reports an error: the answer was lost
  cut_off,      ///< as fail_before, for this and for every later operation of any kind: the program was killed here
  truncate,     ///< a load or save of only the first `at` bytes that claims success; a ranged load reports damaged
  flip_bit,     ///< a load or save with bit `at` (modulo the length) inverted that claims success
  repeat,       ///< a list that shows every file twice, as object stores may when a page is asked for again
  delay,        ///< does it after `pause`
};

/// What goes wrong, and when: at the `nth` of the operations that match, and at the `times - 1` after it.
struct fault {
  static constexpr std::uint64_t forever = std::numeric_limits<std::uint64_t>::max();

  fault_kind kind = fault_kind::fail_before;
  std::optional<storage_operation> operation{};  ///< unset: any
  std::optional<file_type> type{};               ///< unset: any
  std::uint64_t nth = 1;
  std::uint64_t times = 1;
  std::uint64_t at = 0;                       ///< bytes for truncate, bits for flip_bit
  std::chrono::milliseconds pause{0};         ///< for delay
  error_code code = error_code::io;           ///< for fail_before, fail_after and cut_off
};

struct fault_plan {
  std::vector<fault> faults{};
  /// Bytes that may be saved before the storage is full. Removing gives room back, as on a disk.
  std::optional<std::uint64_t> room{};
};

/// One operation as it was asked for. `failed` tells what the caller saw.
struct storage_event {
  storage_operation operation;
  stored_file file;  ///< for a list only its type counts; for create nothing
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  ///< bytes to save, or asked for by a ranged load
  bool failed = false;

  /// "save pack 1a2b3c4d".
  [[nodiscard]] std::string describe() const {
    if (operation == storage_operation::create) return "create";
    return std::string(name_of(operation)) + " " +
           (operation == storage_operation::list ? name_of(file.type) : file.describe());
  }
};

/// Passes everything on to another backend but for the faults planned. Operations count from 1 in the order in which
/// they begin, so with several threads which one is the nth depends on their timing.
class fault_backend : public forwarding_backend {
public:
  explicit fault_backend(std::shared_ptr<backend> inner, fault_plan plan = {})
      : forwarding_backend(std::move(inner)), plan_(std::move(plan)), matched_(plan_.faults.size(), 0) {}

  /// Starts over with other faults: counts from 1, not cut off. The log stays.
  void set_plan(fault_plan plan) {
    const std::lock_guard lock(mutex_);
    plan_ = std::move(plan);
    matched_.assign(plan_.faults.size(), 0);
    count_ = 0;
    is_cut_off_ = false;
  }

  /// Called before each operation, with nothing locked: another program may do something right then.
  void before_each(std::function<void(const storage_event&)> hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
  }

  /// All operations so far, in the order in which they began.
  [[nodiscard]] std::vector<storage_event> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  void clear_log() {
    const std::lock_guard lock(mutex_);
    log_.clear();
    ++log_generation_;
  }

  /// Operations since the plan was set, the failed ones too.
  [[nodiscard]] std::uint64_t count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  [[nodiscard]] bool is_cut_off() const {
    const std::lock_guard lock(mutex_);
    return is_cut_off_;
  }

  void create() override {
    perform({storage_operation::create, {}}, [&](const fault*) { inner_->create(); });
  }

  void save(const stored_file& file, byte_view content) override {
    perform({storage_operation::save, file, 0, content.size()}, [&](const fault* active) {
      const auto stored = altered(active, content);
      const byte_view what = stored ? byte_view(*stored) : content;
      take_room(file, what.size());
      try {
        inner_->save(file, what);
      } catch (...) {
        give_room(what.size());
        throw;
      }
    });
  }

  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    perform({storage_operation::load, file, offset, into.size()}, [&](const fault* active) {
      if (active != nullptr && active->kind == fault_kind::truncate && active->at < into.size())
        throw error(error_code::damaged, "planned fault: " + file.describe() + " ended early");
      inner_->load(file, offset, into);
      if (active != nullptr && active->kind == fault_kind::flip_bit) flip(into, active->at);
    });
  }

  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override {
    perform({storage_operation::load_all, file}, [&](const fault* active) {
      inner_->load_all(file, content);
      if (auto other = altered(active, content)) content = std::move(*other);
    });
  }

  [[nodiscard]] std::uint64_t size(const stored_file& file) override {
    std::uint64_t result = 0;
    perform({storage_operation::size, file}, [&](const fault*) { result = inner_->size(file); });
    return result;
  }

  void remove(const stored_file& file) override {
    perform({storage_operation::remove, file}, [&](const fault*) {
      const auto freed = has_limited_room() ? inner_->size(file) : 0;
      inner_->remove(file);
      give_room(freed);
    });
  }

  void list(file_type type, const std::function<void(const listed_file&)>& visit) override {
    perform({storage_operation::list, {type, {}}}, [&](const fault* active) {
      const bool twice = active != nullptr && active->kind == fault_kind::repeat;
      inner_->list(type, [&](const listed_file& file) {
        visit(file);
        if (twice) visit(file);
      });
    });
  }

private:
  /// Logs the operation, finds the fault for it, and runs `work` with it around the failures that are planned.
  template <class Work>
  void perform(storage_event event, const Work& work) {
    std::function<void(const storage_event&)> hook;
    std::optional<fault> active;
    std::size_t entry = 0, generation = 0;
    {
      const std::lock_guard lock(mutex_);
      hook = hook_;
      active = next_fault(event);
      entry = log_.size();
      generation = log_generation_;
      log_.push_back(event);
    }
    try {
      if (hook) hook(event);
      if (active && active->kind == fault_kind::delay) std::this_thread::sleep_for(active->pause);
      if (active && (active->kind == fault_kind::fail_before || active->kind == fault_kind::cut_off))
        throw planned(*active, event);
      work(active ? &*active : nullptr);
      if (active && active->kind == fault_kind::fail_after) throw planned(*active, event);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (generation == log_generation_) log_[entry].failed = true;
      throw;
    }
  }

  /// The first planned fault that this operation meets. Every fault counts the operations that match it.
  std::optional<fault> next_fault(const storage_event& event) {
    ++count_;
    std::optional<fault> found;
    for (std::size_t i = 0; i < plan_.faults.size(); ++i) {
      const auto& candidate = plan_.faults[i];
      if (candidate.operation && *candidate.operation != event.operation) continue;
      if (candidate.type && (event.operation == storage_operation::create || *candidate.type != event.file.type))
        continue;
      const auto number = ++matched_[i];
      if (!found && number >= candidate.nth && number - candidate.nth < candidate.times) found = candidate;
    }
    if (is_cut_off_) return cut_off_by_;
    if (found && found->kind == fault_kind::cut_off) {
      is_cut_off_ = true;
      cut_off_by_ = *found;
    }
    return found;
  }

  static error planned(const fault& active, const storage_event& event) {
    const char* when = active.kind == fault_kind::fail_after ? "done, but reported as failed"
                       : active.kind == fault_kind::cut_off  ? "cut off"
                                                             : "failed";
    return {active.code, "planned fault: " + event.describe() + ": " + when};
  }

  /// Other content than the given, if the fault asks for that.
  static std::optional<bytes> altered(const fault* active, byte_view content) {
    if (active == nullptr) return std::nullopt;
    if (active->kind == fault_kind::truncate) {
      const auto kept = content.first(static_cast<std::size_t>(std::min<std::uint64_t>(active->at, content.size())));
      return bytes(kept.begin(), kept.end());
    }
    if (active->kind == fault_kind::flip_bit) {
      bytes copy(content.begin(), content.end());
      flip(copy, active->at);
      return copy;
    }
    return std::nullopt;
  }

  static void flip(byte_span content, std::uint64_t bit) noexcept {
    if (content.empty()) return;
    auto& target = content[static_cast<std::size_t>(bit / 8 % content.size())];
    target = static_cast<std::uint8_t>(target ^ (1u << (bit % 8)));
  }

  bool has_limited_room() const {
    const std::lock_guard lock(mutex_);
    return plan_.room.has_value();
  }

  void take_room(const stored_file& file, std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    if (!plan_.room) return;
    if (length > *plan_.room)
      throw error(error_code::no_space, "planned fault: no space left to save " + file.describe());
    *plan_.room -= length;
  }

  void give_room(std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    if (plan_.room) *plan_.room += length;
  }

  mutable std::mutex mutex_;  // guards all below
  fault_plan plan_;
  std::vector<std::uint64_t> matched_;  // operations that matched each fault of the plan
  std::uint64_t count_ = 0;
  bool is_cut_off_ = false;
  fault cut_off_by_;
  std::function<void(const storage_event&)> hook_;
  std::vector<storage_event> log_;
  std::size_t log_generation_ = 0;
};

}  // namespace recoup
