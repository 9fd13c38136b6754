// A view of a backend that nothing can be written through: what is stored or removed goes nowhere.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/backend.hpp>

namespace recoup {

/// Files that were "saved" cannot be loaded: an operation that is tried out this way must not read back what it wrote.
class dry_run_backend : public backend {
public:
  explicit dry_run_backend(std::shared_ptr<backend> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] std::string location() const override { return inner_->location(); }
  [[nodiscard]] unsigned connections() const override { return inner_->connections(); }
  [[nodiscard]] unsigned connections_now() const override { return inner_->connections_now(); }
  void create() override {}
  void save(const stored_file&, byte_view) override {}
  [[nodiscard]] std::unique_ptr<growing_file> begin(file_type, bytes memory) override {
    return std::make_unique<discarded_file>(std::move(memory));
  }
  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    inner_->load(file, offset, into);
  }
  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override { inner_->load_all(file, content); }
  [[nodiscard]] std::uint64_t size(const stored_file& file) override { return inner_->size(file); }
  void remove(const stored_file&) override {}
  void list(file_type type, const std::function<void(const listed_file&)>& visit) override {
    inner_->list(type, visit);
  }
  [[nodiscard]] bool is_worth_caching() const override { return inner_->is_worth_caching(); }
  [[nodiscard]] bool reload_may_help(const stored_file& file) override { return inner_->reload_may_help(file); }
  void forget_packs_other_than(const std::function<bool(const id&)>& is_known) override {
    inner_->forget_packs_other_than(is_known);
  }
  [[nodiscard]] std::string cache_directory() const override { return inner_->cache_directory(); }

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

  const std::shared_ptr<backend> inner_;
};

}  // namespace recoup
