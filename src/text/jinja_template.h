#ifndef THRESHER_TEXT_JINJA_TEMPLATE_H_
#define THRESHER_TEXT_JINJA_TEMPLATE_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace thresher {

// A Jinja template in the environment of Hugging Face's chat templates (blocks take their line end
// and the blanks before them with them; methods of Python's strings, lists and dicts; tojson as
// Python's json.dumps; raise_exception), but a variable that is not defined is an error, nothing is
// escaped and there is no clock. A rendering that takes too much work, text or recursion ends with
// an error, so templates may come from strangers. Immutable; thread-safe.
class JinjaTemplate {
 public:
  // `name` stands for the template in messages: a file's name or a setting's. All errors of both
  // functions are kInvalidArgument, in the form "my_prompt.jinja:12: what is wrong".
  static Result<JinjaTemplate> Compile(std::string_view text, const std::string& name);

  JinjaTemplate(JinjaTemplate&&) noexcept;
  JinjaTemplate& operator=(JinjaTemplate&&) noexcept;
  ~JinjaTemplate();

  // `context_json`: a JSON object whose members are the template's variables.
  Result<std::string> Render(std::string_view context_json) const;

 private:
  struct Handle;
  explicit JinjaTemplate(std::unique_ptr<Handle> handle);

  std::unique_ptr<Handle> handle_;
};

}  // namespace thresher

#endif  // THRESHER_TEXT_JINJA_TEMPLATE_H_
