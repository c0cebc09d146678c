// Tomcat: the page is chosen by its own mapping of servlets.
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.HexFormat;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

public class App {
    static String hexed(String text) {
        byte[] bytes = (text == null ? "" : text).getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().formatHex(bytes);
    }

    static class Page extends HttpServlet {
        private final String name;

        Page(String name) {
            this.name = name;
        }

        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response)
                throws IOException {
            byte[] body = request.getInputStream().readAllBytes();
            StringBuilder line = new StringBuilder();
            line.append(hexed(request.getMethod()));
            String info = request.getPathInfo() == null ? "" : request.getPathInfo();
            line.append(' ').append(hexed(request.getServletPath() + info));
            line.append(' ').append(name);
            String session = String.join(",", Collections.list(request.getHeaders("X-Session")));
            line.append(' ').append(hexed(session));
            line.append(' ').append(hexed(request.getScheme()));
            line.append(' ').append(request.getRemotePort());
            line.append(' ').append(HexFormat.of().formatHex(body));
            for (String field : Collections.list(request.getHeaderNames())) {
                for (String value : Collections.list(request.getHeaders(field))) {
                    line.append(' ').append(hexed(field)).append('=').append(hexed(value));
                }
            }
            byte[] bytes = line.append('\n').toString().getBytes(StandardCharsets.US_ASCII);
            Files.write(Path.of(System.getenv("SEEN")), bytes, StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
            response.setContentType("text/plain");
            response.setContentLength(bytes.length);
            response.getOutputStream().write(bytes);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setHostname("127.0.0.1");
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", arguments[1]);
        Tomcat.addServlet(context, "admin", new Page("admin"));
        context.addServletMappingDecoded("/admin/*", "admin");
        Tomcat.addServlet(context, "page", new Page("page"));
        context.addServletMappingDecoded("/", "page");
        tomcat.start();
        tomcat.getServer().await();
    }
}
