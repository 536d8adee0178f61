#include "text/jinja_template.h"

#include <utility>

#include "base/rust_memory.h"
#include "text/utf8.h"

namespace thresher {

struct JinjaTemplate::Handle {
  explicit Handle(ThresherJinjaTemplate* made) : rust(made) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { thresher_jinja_template_free(rust); }

  ThresherJinjaTemplate* const rust;
};

JinjaTemplate::JinjaTemplate(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
JinjaTemplate::JinjaTemplate(JinjaTemplate&&) noexcept = default;
JinjaTemplate& JinjaTemplate::operator=(JinjaTemplate&&) noexcept = default;
JinjaTemplate::~JinjaTemplate() = default;

Result<JinjaTemplate> JinjaTemplate::Compile(std::string_view text, const std::string& name) {
  RETURN_IF_ERROR(CheckUtf8(text).WithContext(name));
  RustBytes error;
  ThresherJinjaTemplate* made = nullptr;
  RETURN_IF_ERROR(
      RustStatus(thresher_jinja_template_new(RustData(text), text.size(), RustData(name),
                                             name.size(), &made, error.out()),
                 error));
  return JinjaTemplate(std::make_unique<Handle>(made));
}

Result<std::string> JinjaTemplate::Render(std::string_view context_json) const {
  RustBytes error;
  RustBytes text;
  RETURN_IF_ERROR(
      RustStatus(thresher_jinja_template_render(handle_->rust, RustData(context_json),
                                                context_json.size(), text.out(), error.out()),
                 error));
  return std::string(text.view());
}

}  // namespace thresher
