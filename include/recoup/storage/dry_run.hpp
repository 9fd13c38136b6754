// A view of a backend that nothing can be written through: what is stored or removed goes nowhere.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/forwarding.hpp>

namespace recoup {

/// Files that were "saved" cannot be loaded: an operation that is tried out this way must not read back what it wrote.
class dry_run_backend : public forwarding_backend {
public:
  explicit dry_run_backend(std::shared_ptr<backend> inner) : forwarding_backend(std::move(inner)) {}

  void create() override {}
  void save(const stored_file&, byte_view) override {}
  [[nodiscard]] std::unique_ptr<growing_file> begin(file_type, bytes memory) override {
    return std::make_unique<discarded_file>(std::move(memory));
  }
  void remove(const stored_file&) override {}

private:
  class discarded_file : public growing_file {
  public:
    using growing_file::growing_file;
    void take_tail() override {
      taken_ += tail.size();
      tail.clear();
    }
    void read_taken(bytes& into) const override { into.resize(taken_); }
    void save(const stored_file&) override {}

  private:
    std::size_t taken_ = 0;
  };
};

}  // namespace recoup
