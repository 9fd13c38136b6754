// A backend that reads from another and pretends to write.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/backend.hpp>

namespace recoup {

/// For trying out an operation: everything that would be stored or removed is dropped.
class dry_run_backend final : public backend {
public:
  explicit dry_run_backend(std::shared_ptr<backend> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] std::string location() const override { return inner_->location(); }
  [[nodiscard]] unsigned connections() const override { return inner_->connections(); }
  void create() override {}
  void save(const file_handle& /*file*/, byte_view /*content*/) override {}
  void load(const file_handle& file, std::uint64_t offset, byte_span into) override { inner_->load(file, offset, into); }
  [[nodiscard]] bytes load_all(const file_handle& file) override { return inner_->load_all(file); }
  [[nodiscard]] std::uint64_t size(const file_handle& file) override { return inner_->size(file); }
  void remove(const file_handle& /*file*/) override {}
  void list(file_type type, const std::function<void(const listed_file&)>& visit) override { inner_->list(type, visit); }

private:
  const std::shared_ptr<backend> inner_;
};

}  // namespace recoup
