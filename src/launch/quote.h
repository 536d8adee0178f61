#ifndef THRESHER_LAUNCH_QUOTE_H_
#define THRESHER_LAUNCH_QUOTE_H_

#include <string>
#include <string_view>
#include <vector>

namespace thresher {

// `text` as one word of a POSIX shell, which gives back exactly these bytes whatever they are:
// plain where nothing in it is special, else in single quotes. `text` holds no NUL, which no
// argument can hold. The only place where the project quotes for a shell.
std::string ShellQuote(std::string_view text);

// The words with a space between each two.
std::string ShellCommand(const std::vector<std::string>& words);

// `text` as Kubernetes takes it in a container's command, args and env, where it expands $(NAME):
// every $ is doubled. Source: kubernetes.io, "Define dependent environment variables".
std::string KubernetesLiteral(std::string_view text);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_QUOTE_H_
